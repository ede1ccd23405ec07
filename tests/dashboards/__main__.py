"""`make dashboards`: writes deploy/dashboards."""

from dashboards.boards import BOARDS
from support.project import ROOT

if __name__ == "__main__":
    for name, board in BOARDS.items():
        (ROOT / "deploy" / "dashboards" / f"{name}.json").write_text(board.write())
