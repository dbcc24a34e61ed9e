"""`tribute-verify FILE`: the verifier for publishers and auditors. It needs neither a project nor the platform."""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from tribute.errors import ProofError
from tribute.royalty.proof.verdict import verdict

_EXIT_CODES = "Exit code 0: it holds. 1: it does not, and every problem is listed. 2: the file cannot be read."


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify a file and print the verdict.

    Returns:
        The exit code: 0 if the file holds, 1 if it does not, 2 if it cannot be read.
    """
    parser = argparse.ArgumentParser(
        prog="tribute-verify",
        description="Verify a royalty statement or a period's bundle, offline: sums, hashes and signature.",
        epilog=_EXIT_CODES,
    )
    parser.add_argument(
        "file", metavar="FILE", type=Path, help="a statement or a bundle: JSON, as you received it"
    )
    parser.add_argument("--key", help="the payer's public key (64 hexadecimal digits): it must have signed")
    parser.add_argument("--json", action="store_true", help="print JSON with every problem")
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        found = verdict(options.file, options.key)
    except ProofError as error:
        print(error, file=sys.stderr)
        return 2
    print(found.as_json() if options.json else found.as_text())
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
