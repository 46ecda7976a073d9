"""`trunkline completion`: the script that teaches a shell to complete servers, tools, commands and options.

The scripts ask `trunkline __complete SHELL WORD...` for the candidates, one per line: the word, then after a
tab what it is. A first line `:files` leaves the word to the shell's own completion of files.
"""

from __future__ import annotations

from typing import Annotated

import typer

from trunkline.cli import session
from trunkline.cli.exits import OK, UsageError
from trunkline.cli.options import Settings, with_settings
from trunkline.cli.terminal import Terminal

BASH = r"""# Completion of trunkline for bash. In ~/.bashrc: source <(trunkline completion bash)
_trunkline() {
    local answer line value
    COMPREPLY=()
    answer=$(trunkline __complete bash "${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null) || return 0
    if [[ $answer == ':files' ]]; then
        compopt -o default 2>/dev/null
        return 0
    fi
    while IFS= read -r line; do
        value=${line%%$'\t'*}
        [[ -n $value ]] && COMPREPLY+=("$(printf '%q' "$value")")
    done <<<"$answer"
    return 0
}
complete -F _trunkline trunkline
"""

ZSH = r"""#compdef trunkline
# Completion of trunkline for zsh. In ~/.zshrc, after compinit: source <(trunkline completion zsh)
_trunkline() {
    local line
    local -a answer values shown
    answer=("${(@f)$(trunkline __complete zsh "${(@Q)words[1,CURRENT]}" 2>/dev/null)}")
    if [[ ${answer[1]} == ':files' ]]; then
        _files
        return
    fi
    for line in "${answer[@]}"; do
        [[ -n $line ]] || continue
        values+=("${line%%$'\t'*}")
        shown+=("${line/$'\t'/  -- }")
    done
    compadd -l -d shown -a values
}
if [[ ${funcstack[1]} == _trunkline ]]; then
    _trunkline "$@"
else
    compdef _trunkline trunkline
fi
"""

FISH = r"""# Completion of trunkline for fish. In config.fish: trunkline completion fish | source
function __trunkline_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l answer (trunkline __complete fish $words "$current" 2>/dev/null)
    if test "$answer[1]" = ':files'
        __fish_complete_path "$current"
    else
        printf '%s\n' $answer
    end
end
complete -c trunkline -f -a '(__trunkline_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


@with_settings
def completion_command(
    settings: Settings,
    shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="The shell it is for.")],
) -> int:
    """Print the completion script of a shell.

    For bash: source <(trunkline completion bash). Tools are those that were listed last; completing
    starts no server.
    """
    return session.guarded(settings, lambda terminal: _print_script(shell, terminal))


def _print_script(shell: str, terminal: Terminal) -> int:
    if shell not in SCRIPTS:
        raise UsageError(f"there is no completion for {shell!r}", hint=f"Choose one of {', '.join(SCRIPTS)}.")
    terminal.print_text(SCRIPTS[shell].rstrip("\n"))
    return OK
