"""`make scaling`: prints the comparison of scalers for docs/operations.md."""

import sys

from scaling.published import compare, table

if __name__ == "__main__":
    sys.stdout.write(table(compare()))
