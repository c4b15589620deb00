#!/bin/sh
# What an administrator has run when something happens: a script that starts another one.
exec /program/print-computer.sh
