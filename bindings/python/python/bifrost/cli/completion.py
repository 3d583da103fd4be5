"""Print the completion script of a shell.

eval "$(bifrost completion bash)"        # in ~/.bashrc
eval "$(bifrost completion zsh)"         # in ~/.zshrc, after compinit
bifrost completion fish | source         # in ~/.config/fish/config.fish
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from ._exit import Exit
from ._output import Output

_BASH = """\
_bifrost() {
    local path="" word
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$path $word" in
%(paths)s
        esac
    done
    local words
    case "$path" in
%(words)s
    esac
    COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _bifrost bifrost
"""

_ZSH = """\
#compdef bifrost
_bifrost() {
    local path_="" word
    for word in "${(@)words[2,CURRENT-1]}"; do
        case "$path_ $word" in
%(paths)s
        esac
    done
    local -a offered
    case "$path_" in
%(words)s
    esac
    compadd -- $offered || _files
}
compdef _bifrost bifrost
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def run(arguments: argparse.Namespace, out: Output) -> int:
    """``completion``."""
    # The parser is made of this module among others.
    from ._parser import build

    tree = dict(_tree(build(), ()))
    out.text({"bash": _bash, "zsh": _zsh, "fish": _fish}[arguments.shell](tree).rstrip("\n"))
    return Exit.OK


Tree = dict[tuple[str, ...], list[str]]


def _tree(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """What may follow each command: its actions, choices and options."""
    words: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            words += action.choices
            for name, child in action.choices.items():
                yield from _tree(child, (*path, name))
        elif action.option_strings:
            words += [option for option in action.option_strings if option.startswith("--")]
        elif action.choices:
            words += action.choices
    yield path, words


def _cases(tree: Tree, assign: str) -> dict[str, str]:
    pad = " " * 12
    deeper = [path for path in tree if path]
    paths = [f'{pad}"{_joined(path[:-1])} {path[-1]}") path="{_joined(path)}" ;;' for path in deeper]
    words = [f'        "{_joined(path)}") {assign % " ".join(offered)} ;;' for path, offered in tree.items()]
    return {"paths": "\n".join(paths), "words": "\n".join(words)}


def _joined(path: tuple[str, ...]) -> str:
    return "".join(f" {word}" for word in path)


def _bash(tree: Tree) -> str:
    return _BASH % _cases(tree, 'words="%s"')


def _zsh(tree: Tree) -> str:
    # `path` is zsh's own list of folders with programs.
    cases = _cases(tree, "offered=(%s)")
    return _ZSH % {**cases, "paths": cases["paths"].replace(" path=", " path_=")}


def _fish(tree: Tree) -> str:
    lines = []
    for path, offered in tree.items():
        conditions = [f"__fish_seen_subcommand_from {word}" for word in path]
        following = [child[-1] for child in tree if child[:-1] == path and child]
        if following:
            conditions.append(f"not __fish_seen_subcommand_from {' '.join(following)}")
        condition = "; and ".join(conditions) or "true"
        options = [word.removeprefix("--") for word in offered if word.startswith("--")]
        plain = [word for word in offered if not word.startswith("--")]
        if plain:
            lines.append(f"complete -c bifrost -f -n '{condition}' -a '{' '.join(plain)}'")
        lines += [f"complete -c bifrost -n '{condition}' -l {option}" for option in options]
    return "\n".join(lines)
