# info of a queue: what waits, who died
"$HELPERS/queue_maker" $T-q
ndshare info $T-q | grep -vE '^(file|uid|slots)'
ndshare info $T-q --json | sed -n '/"queue"/,/}/p' | grep -vE '"(slots|uid)"'
ndshare rm $T-q
exit 0
