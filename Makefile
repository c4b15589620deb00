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
cluster-up: $(DEVCLUSTER) ## Start a private control plane; kubeconfig in .cluster/kubeconfig, kubectl in bin/; NODE=1 adds a node
	$(if $(NODE),$(NEED_NODE))
	$(DEVCLUSTER) up --dir .cluster $(if $(NODE),--node)
	@ln -sf "$$($(DEVCLUSTER) assets)/kubectl" bin/kubectl

.PHONY: cluster-down
cluster-down: $(DEVCLUSTER) ## Stop it
	$(DEVCLUSTER) down --dir .cluster

.PHONY: run
run: bin/manager ## Run the manager on this machine against the current kubeconfig's cluster
	bin/manager --namespace=tocsin-system --metrics-bind-address=127.0.0.1:8080 --health-probe-bind-address=127.0.0.1:8081

##@ Build

.PHONY: build
build: bin/manager bin/kubectl-tocsin bin/demo ## Build the programs into bin/

.PHONY: bin/manager
bin/manager:
	CGO_ENABLED=0 go build -trimpath -o $@ ./cmd/manager

.PHONY: bin/kubectl-tocsin
bin/kubectl-tocsin:
	CGO_ENABLED=0 go build -trimpath -o $@ ./cmd/kubectl-tocsin

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

# What `make test-interop` installs where it is missing. Debian may start what it installs; the tests neither need nor mind that:
# they start servers of their own on loopback.
INTEROP_PACKAGES := postfix libsasl2-modules sasl2-bin dovecot-core dovecot-submissiond dovecot-lmtpd opendkim \
  unbound bind9 bind9-utils postgresql

.PHONY: test-interop
test-interop: $(DEVCLUSTER) ## Against real Postfix, Dovecot, Mailpit, unbound, BIND and PostgreSQL on loopback (Debian, root)
	@missing=(); for package in $(INTEROP_PACKAGES); do \
	  dpkg-query -W -f '$${Status}' "$$package" 2>/dev/null | grep -q '^install ok installed$$' || missing+=("$$package"); \
	done; \
	if (($${#missing[@]})) && [ "$$(id -u)" = 0 ]; then \
	  echo "installing $${missing[*]}"; \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$${missing[@]}"; \
	fi
	mailpit="$$($(DEVCLUSTER) assets mailpit)" && \
	  PATH="$$mailpit:$$PATH" go test -tags interop -count=1 -timeout 10m ./test/interop ./internal/mx ./internal/archive

# What a node needs, where it is missing. busybox-static goes into an image.
NODE_PACKAGES := containerd runc containernetworking-plugins iproute2 busybox-static
NEED = @missing=(); for package in $(1); do \
	  dpkg-query -W -f '$${Status}' "$$package" 2>/dev/null | grep -q '^install ok installed$$' || missing+=("$$package"); \
	done; \
	if (($${\#missing[@]})) && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing $${missing[*]}"; \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$${missing[@]}"; \
	fi
NEED_NODE = $(call NEED,$(NODE_PACKAGES))

.PHONY: e2e
e2e: e2e-images bin/kubectl-tocsin ## The product in pods: on a node of its own (Debian, root), or in the cluster of KUBECONFIG if that is set
	$(call NEED,postgresql)
	@run='go test -tags e2e -count=1 -timeout 10m -v ./test/e2e'; \
	if [ -n "$${KUBECONFIG:-}" ]; then $$run; exit; fi; \
	go test -C hack/devcluster -tags node -run Node -parallel 4 -count=1 -timeout 10m .; \
	$(DEVCLUSTER) exec --node -- sh -ec \
	  '$(DEVCLUSTER) load --dir "$$(dirname "$$KUBECONFIG")" $(E2E_IMAGES:%=bin/images/%.tar); exec '"$$run"

E2E_IMAGES := manager program mail

.PHONY: e2e-images
e2e-images: bin/manager $(DEVCLUSTER) ## Build the images that e2e needs, without Docker, into bin/images/
	$(NEED_NODE)
	$(DEVCLUSTER) image --name tocsin-manager:dev --output bin/images/manager.tar --entrypoint /manager --user 65532:65532 \
	  /manager=bin/manager /etc/ssl/certs/ca-certificates.crt=/etc/ssl/certs/ca-certificates.crt
	$(DEVCLUSTER) image --name tocsin-e2e-program:dev --output bin/images/program.tar \
	  /bin/sh="$$(command -v busybox)" /bin/sleep="$$(command -v busybox)" /bin/yes="$$(command -v busybox)" \
	  /bin/head="$$(command -v busybox)" $(foreach script,$(notdir $(wildcard test/e2e/program/*.sh)),/program/$(script)=test/e2e/program/$(script))
	$(DEVCLUSTER) image --name tocsin-e2e-mail:dev --output bin/images/mail.tar --entrypoint /mailpit --user 65532:65532 \
	  /mailpit="$$($(DEVCLUSTER) assets mailpit)/mailpit"

.PHONY: bench
bench: bin/manager bin/bench $(DEVCLUSTER) ## Measure what events and notifications cost, in ten minutes; TABLES="engine windows" takes one
	$(DEVCLUSTER) exec -- bin/bench $(TABLES)

.PHONY: lint
lint: bin/golangci-lint ## Look for what the compiler does not
	bin/golangci-lint run --build-tags e2e ./...
	cd hack/devcluster && $(CURDIR)/bin/golangci-lint run --build-tags node ./...
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
	  /^[a-zA-Z0-9_\/-]+:.*?##/ {printf "  \033[36m%-18s\033[0m %s\n", $$1, $$2} \
	  /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)}' $(MAKEFILE_LIST)
