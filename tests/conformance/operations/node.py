"""npm @apideck/unify and @apideck/node: every operation. The argument names the package."""

import pathlib
import sys

from operations import main
from remote import Remote

package = sys.argv[1]
program = "unify_old.mjs" if package == "@apideck/node" else "unify.mjs"
command = ["node", str(pathlib.Path(__file__).with_name(program)), package]
main(sys.argv[2] if len(sys.argv) > 2 else package, lambda service: Remote(command, service))
