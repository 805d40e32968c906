# while used: the name goes with its last user
mkfifo hold
ndshare create $T-a --shape 3 --fill 7 --lifetime used < hold &
exec 3> hold
ndshare wait $T-a --timeout 10 > /dev/null
ndshare print $T-a
ndshare info $T-a | grep -E '^(lifetime|users)'
exec 3>&-
wait
ndshare gc > /dev/null 2>&1
ndshare print $T-a 2> /dev/null
echo "exit $?"
