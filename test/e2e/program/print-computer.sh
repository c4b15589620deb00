#!/bin/sh
# Tells which computer it is about.
echo "$COMPUTER"
