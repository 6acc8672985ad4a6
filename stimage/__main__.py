"""python -m stimage JOB, as `stimage JOB`: for accelerate launch -m stimage finetune-clip, among others."""

from stimage.cli.command import main

if __name__ == "__main__":
    main()
