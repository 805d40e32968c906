# which way, why, and what to write
ndshare advise --size 8MB --readers 4
ndshare advise --size 1K --dims 1 --numpy no --writes both
ndshare advise --related no --writes both
ndshare advise --arrays many --readers 2 --start-method spawn
ndshare advise --need results --related no | head -n 3
ndshare advise --keep yes --writes child | head -n 3
ndshare advise --arrays many --writes both | head -n 3
ndshare advise --arrays many --size 999GB 2>&1
echo "exit $?"
for wrong in "--size 3" "--readers 0" "--writes parent" "--related maybe" \
    "--dims x" "--start-method thread" "NAME"; do
    ndshare advise $wrong > usage.txt 2>&1
    echo "exit $?: $(head -n 1 usage.txt)"
done
