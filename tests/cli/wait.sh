# waiting for a name, and for data to change
(sleep 0.2; ndshare create $T-a --shape 2) &
ndshare wait $T-a --timeout 10 > gen
wait
(sleep 0.2; ndshare fill $T-a 1) &
ndshare wait $T-a --changed-since $(cat gen) --timeout 10 > /dev/null
echo "exit $?"
wait
ndshare print $T-a
ndshare wait $T-a --changed-since 1000000 --timeout 0.05 > /dev/null 2>&1
echo "exit $?"
ndshare rm $T-a
