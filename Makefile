# Tocsin's front door. `make` or `make help` lists what there is.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# IMG is the manager's image for `make deploy`: build it from the Dockerfile and push it to where your cluster pulls from.
IMG ?= tocsin-manager:dev

DEVCLUSTER := bin/devcluster
TOOLS := hack/tools/go.mod hack/tools/go.sum

##@ Try

.PHONY: demo
demo: build $(DEVCLUSTER) ## Play a security story on a private control plane with a real mail server; KEEP=1 leaves it running
	$(DEVCLUSTER) exec --with mailpit -- bin/demo

.PHONY: cluster-up
cluster-up: $(DEVCLUSTER) ## Start a private control plane; kubeconfig in .cluster/kubeconfig, kubectl in bin/
	$(DEVCLUSTER) up --dir .cluster
	@ln -sf "$$($(DEVCLUSTER) assets)/kubectl" bin/kubectl

.PHONY: cluster-down
cluster-down: $(DEVCLUSTER) ## Stop it
	$(DEVCLUSTER) down --dir .cluster

.PHONY: run
run: bin/manager ## Run the manager on this machine against the current kubeconfig's cluster
	bin/manager --namespace=tocsin-system --metrics-bind-address=127.0.0.1:8080 --health-probe-bind-address=127.0.0.1:8081

##@ Build

.PHONY: build
build: bin/manager bin/demo ## Build the programs into bin/

.PHONY: bin/manager
bin/manager:
	CGO_ENABLED=0 go build -trimpath -o $@ ./cmd/manager

.PHONY: bin/demo
bin/demo:
	CGO_ENABLED=0 go build -trimpath -o $@ ./hack/demo

.PHONY: bin/bench
bin/bench:
	CGO_ENABLED=0 go build -trimpath -o $@ ./test/bench

.PHONY: $(DEVCLUSTER)
$(DEVCLUSTER):
	CGO_ENABLED=0 go build -C hack/devcluster -trimpath -o $(CURDIR)/$@ .

.PHONY: image
image: ## Build the manager's image (needs Docker)
	docker build -t $(IMG) .

##@ Check

.PHONY: test
test: $(DEVCLUSTER) ## Unit and integration tests, on a real kube-apiserver and etcd
	assets="$$($(DEVCLUSTER) assets)" && KUBEBUILDER_ASSETS="$$assets" go test -race -count=1 -timeout 15m ./...
	go test -C hack/devcluster -count=1 -timeout 15m ./...
	go test -C hack/prometheus -count=1 ./...

.PHONY: bench
bench: bin/manager bin/bench $(DEVCLUSTER) ## Measure what events and notifications cost, in ten minutes; TABLES="engine windows" takes one
	$(DEVCLUSTER) exec -- bin/bench $(TABLES)

.PHONY: lint
lint: bin/golangci-lint ## Look for what the compiler does not
	bin/golangci-lint run ./...
	cd hack/devcluster && $(CURDIR)/bin/golangci-lint run ./...
	cd hack/prometheus && $(CURDIR)/bin/golangci-lint run ./...

.PHONY: verify-generated
verify-generated: generate manifests ## Fail when generated files are not what the sources say
	@changed="$$(git status --porcelain -- api config)"; if [ -n "$$changed" ]; then \
	  echo "these files are not what the sources say; commit what \`make generate manifests\` writes:"; \
	  echo "$$changed"; git diff -- api config; exit 1; fi

.PHONY: check
check: verify-generated lint test ## Everything a change must pass

##@ Generate

.PHONY: generate
generate: bin/controller-gen ## Generate deep copies and apply configurations from api/
	bin/controller-gen object:headerFile=hack/boilerplate.go.txt applyconfiguration:headerFile=hack/boilerplate.go.txt paths=./api/...

.PHONY: manifests
manifests: bin/controller-gen ## Generate CustomResourceDefinitions and the manager's roles from markers
	bin/controller-gen crd:headerFile= paths=./api/... output:crd:dir=config/crd/bases
	bin/controller-gen rbac:roleName=manager paths=./controllers/... paths=./cmd/manager/... output:rbac:dir=config/rbac

bin/controller-gen: $(TOOLS)
	go build -C hack/tools -o $(CURDIR)/bin/ sigs.k8s.io/controller-tools/cmd/controller-gen

bin/golangci-lint: $(TOOLS) hack/tools/cmd/golangci-lint/main.go
	go build -C hack/tools -o $(CURDIR)/bin/ ./cmd/golangci-lint

##@ Install

.PHONY: deploy
deploy: ## Install into the current kubeconfig's cluster, with the image IMG
	kubectl kustomize config/default | sed 's|image: tocsin-manager:dev|image: $(IMG)|' | kubectl apply -f -

.PHONY: undeploy
undeploy: ## Remove it from there, with all of its objects
	kubectl delete -k config/default --ignore-not-found

.PHONY: help
help: ## Show this
	@awk 'BEGIN {FS = ":.*##"; printf "Usage: make \033[36m<target>\033[0m\n"} \
	  /^[a-zA-Z_\/-]+:.*?##/ {printf "  \033[36m%-18s\033[0m %s\n", $$1, $$2} \
	  /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)}' $(MAKEFILE_LIST)
