"""aws-cli in one process, run by aws-cli's own Python: a start for each call would take a second.

Reads a JSON list of arguments a line; answers with a line `{"code", "out", "err"}`.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

from awscli.clidriver import create_clidriver


def main() -> None:
    answers = sys.stdout
    for line in sys.stdin:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = create_clidriver().main(json.loads(line))
            except SystemExit as ended:
                code = ended.code
        said = {"code": code, "out": out.getvalue(), "err": err.getvalue()}
        print(json.dumps(said), file=answers, flush=True)


main()
