# a manager on a socket: calls, errors, a wrong key, the end
printf 'secret\n' > key
ndshare serve ./m.sock --authkey-file key > address.txt &
server=$!
while [ ! -s address.txt ]; do :; done
cat address.txt
call() { ndshare call ./m.sock --authkey-file key "$@" || echo "exit $?"; }
call 'ones((3,4))' sum
call 'ones((3,4))' sum axis=0
call 'arange(12)' __getitem__ 'slice(None, None, 5)'
call 'full((2,2), 7)' __repr__
call 'ones(3, dtype="f4")' tolist
call 'dict({"a": 1, 2: None})' __iter__
call 'Namespace(x=1)' __str__
call - number_of_objects
call - nosuch 2>&1 | tail -n 1
call zeros sum 2>&1 | sed -n 's/^\(ndshare call: zeros\).*/\1 refused/p'
call 'arange(4)' __getitem__ 9 2>&1
call 'arange(4)' nosuch 2>&1 | tail -n 2
call 'arange(4' sum 2> err.txt; head -n 1 err.txt
NDSHARE_AUTHKEY=wrong ndshare call ./m.sock 'ones(3)' sum 2>&1; echo "exit $?"
ndshare serve ./m.sock --authkey-file key 2>&1 | sed -n 1p
kill "$server"
wait "$server"; echo "server: exit $?"
test -e m.sock || echo "no socket left"
ndshare call ./m.sock --authkey-file key 'ones(3)' sum 2>&1 | sed -n 1p
