"""A checkpoint whose terms must be accepted, on the local Hub: the remedy is told, and works."""

import json

from tests.hub.client import upload
from tests.towers.families import write_encoder

ASK = """
    import json, sys
    from stimage.core.errors import DataError
    from stimage.towers.image_towers import load_tower
    from stimage.towers.two_towers import gene_towers

    told = []
    for ask in (load_tower, lambda name: gene_towers(name, ["ERBB2"], "linear", 8)):
        try:
            ask("tester/vit")
            told.append("")
        except DataError as error:
            told.append(str(error))
    print(json.dumps(told))
"""


def test_a_gated_checkpoint_asks_for_login(hub, tmp_path):
    upload(hub, write_encoder("vit", tmp_path / "vit"), "tester/vit", "model")
    hub.gate("tester/vit")
    for message in json.loads(hub.run(ASK, token=False)):  # to embed, and to tune
        assert message.startswith(
            "tester/vit: cannot be read as a checkpoint: no readable config.json (its terms must "
        )
        assert message.endswith("accepted at https://huggingface.co/tester/vit; then run hf auth login)")
        assert "\n" not in message
    assert json.loads(hub.run(ASK)) == ["", ""]
