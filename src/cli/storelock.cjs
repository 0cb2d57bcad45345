#!/usr/bin/env sh
':' /* # The shell runs this comment, and then node with this file. JavaScript skips it.
# Node does not report which signals were ignored when it started, the limit of open files, or which descriptors it was given. The command of a run
# should get all of these unchanged, so the shell records them here. Some shells also drop variables whose names are not identifiers, and set others.
case $1 in run)
  # The caller may have exported any other name, so this shell sets no variable but its own two; the inner shell may.
  STORELOCK_OPEN=
  for STORELOCK_ENTRY in /proc/$$/fd/* /dev/fd/*; do
    case $STORELOCK_ENTRY in /dev/*) [ -e /proc/$$/fd ] && break ;; esac
    # The shell has this file open as well, and had the folder.
    [ -e "$STORELOCK_ENTRY" ] && [ ! "$STORELOCK_ENTRY" -ef "$0" ] && STORELOCK_OPEN="$STORELOCK_OPEN ${STORELOCK_ENTRY#"${STORELOCK_ENTRY%[!0-9]*}"?}"
  done
  # Some shells ignore QUIT themselves. A signal that was ignored from the start stays ignored in spite of a trap.
  trap : QUIT
  STORELOCK_ENTRY=$(
    self=/proc/$$
    echo "pid $$"
    [ "$STORELOCK_OPEN" ] && echo "open$STORELOCK_OPEN"
    printf 'files '
    ulimit -S -n
    printf 'core '
    ulimit -S -c
    if [ -r $self/status ]; then
      while read -r name value; do case $name in SigIgn:) echo "ignored $value"; break ;; esac; done <$self/status
    else
      /bin/sh -c 'for name in HUP INT QUIT TERM USR1 USR2 PIPE TSTP; do got=; trap got=1 $name; kill -s $name $$; [ "$got" ] || echo "ignores $name"; done'
    fi
    [ -r $self/environ ] || exit
    set -f
    IFS='
'
    given=
    # In the C locale, tr loads no other files.
    for variable in $(LC_ALL=C tr '\0\n' '\n\377' <$self/environ); do
      case ${variable%%=*} in
      *[!A-Za-z0-9_]* | [0-9]* | IFS | OPTIND | PPID | LINENO) echo "variable $variable" ;;
      PWD | OLDPWD | SHLVL) given="$given ${variable%%=*}" ;;
      esac
    done
    echo "given$given"
  )
  trap - QUIT
  unset STORELOCK_OPEN
  export STORELOCK_ENTRY
  # Node ends by the signal that ended the command, and a core file of Node would be useless.
  ulimit -S -c 0
;; *)
  # If stdout is closed, Node would open /dev/null in its place, and the output would be lost without an error.
  { true 9>&1; } 2>/dev/null || exec 1</dev/null
esac
command -v node >/dev/null || { echo 'storelock: there is no node in PATH' >&2; exit 125; }
exec node "$0" "$@"
*/
require('./start.cjs')
