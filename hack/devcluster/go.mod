module github.com/tocsin-dev/tocsin/hack/devcluster

go 1.26.0
