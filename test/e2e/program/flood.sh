#!/bin/sh
# Writes a hundred megabytes, and then one line more.
yes 'a line that nobody reads' | head -c 100000000
echo
echo done
