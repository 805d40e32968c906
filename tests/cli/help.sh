# every command has help with an example, on stdout, and exits 0
ndshare --help | sed -n 's/^  \([a-z]*\) .*/\1/p' | while read -r name; do
    ndshare "$name" --help > help.txt || echo "$name: exit $?"
    grep -q '^example: ' help.txt || echo "$name: no example"
    grep -q '^usage: ' help.txt || echo "$name: no usage"
done
ndshare > nothing.txt 2> err.txt
echo "exit $?, $(wc -c < nothing.txt) bytes on stdout"
ndshare --version | sed 's/ [0-9.]*$//'
