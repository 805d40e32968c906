# info in text and JSON, and what ls says of it
ndshare create $T-a --shape 3,4 --dtype '<f4' --order F --mode 640
ndshare info $T-a | grep -vE '^(file|uid|data_gen|shape_gen)'
ndshare info $T-a --json | grep -E '"(dtype|order|nbytes|users|others|lifetime|lock|mode)"'
ndshare ls 2> /dev/null | grep -c "$T-a"
ndshare ls --json | grep -c "\"$T-a\""
ndshare rm $T-a
ndshare ls 2> /dev/null | grep -c "$T-a"
exit 0
