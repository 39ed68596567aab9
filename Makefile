# Every command of this project. `make` alone prints them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables

IMG ?= k8s-backup-image-registry-controller:latest
ARGS ?=
CONTAINER_TOOL ?= $(firstword $(foreach tool,docker podman buildah,$(if $(shell command -v $(tool)),$(tool))) docker)
KUBECTL ?= kubectl
OVERLAY ?= config
RUN := npm run --silent

.PHONY: help
help: ## Print this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

##

.PHONY: demo
demo: real-parts ## Show the whole job on a real control plane and real registries; ARGS=--once ends by itself.
	@$(RUN) demo -- $(ARGS)

.PHONY: test
test: check-static real-parts ## Pass everything: check, the tests on real parts and on a real node, and a hostile tenant.
	@$(MAKE) --no-print-directory --jobs=2 test-parts test-node-beside
	@$(MAKE) --no-print-directory test-tenants

# Both mostly wait for clusters of their own. What the second has to say comes at its end, in one piece.
.PHONY: test-parts test-node-beside
test-parts:
	@SIMULATOR_HISTORIES=2000 $(RUN) test
test-node-beside:
	@said=$$(mktemp); trap 'cat "$$said"; rm -f "$$said"' EXIT; $(MAKE) --no-print-directory test-node > "$$said" 2>&1

.PHONY: test-node
test-node: real-parts ## Test on a real node (Linux, root); REQUIRE_NODE=1 forbids the test kubelet in its place.
	@VITEST_JSON_REPORT=$${VITEST_JSON_REPORT:+$$VITEST_JSON_REPORT.node} $(RUN) test:node

# Alone on the machine: it compares times.
.PHONY: test-tenants
test-tenants: real-parts ## Let a hostile tenant loose on others for two minutes; SOAK_SEED=7 repeats one order of acts.
	@VITEST_JSON_REPORT=$${VITEST_JSON_REPORT:+$$VITEST_JSON_REPORT.tenants} $(RUN) test:tenants

.PHONY: check
check: check-static ## Format, lint, types, unused code and unit tests.
	@$(RUN) test:unit

.PHONY: bench
bench: real-parts ## Measure speed as ratios and counts, on real registries.
	@$(RUN) bench -- $(ARGS)

.PHONY: soak
soak: real-parts ## Let things go wrong at random for a while; ARGS='--minutes 30 --seed 7' repeats one order of events.
	@$(RUN) soak -- $(ARGS)

.PHONY: mutants
mutants: node_modules ## Change one condition of the rules after the other, and list those that no test minds.
	@$(RUN) mutants

.PHONY: run
run: node_modules ## Run the controller here, against the cluster of your kubeconfig; ARGS has its flags.
	@npm start --silent -- $(ARGS)

.PHONY: tools
tools: node_modules ## Build or find the real parts that demo and tests run, once per machine, and list them.
	@$(RUN) tools -- --list

.PHONY: format
format: node_modules ## Format everything.
	@$(RUN) format

.PHONY: build
build: node_modules ## Bundle the controller into dist/, as the image has it.
	@$(RUN) build

.PHONY: docker-build
docker-build: ## Build the image IMG with docker, podman or buildah.
	$(CONTAINER_TOOL) build -t '$(IMG)' .

.PHONY: docker-build-cloud
docker-build-cloud: docker-build ## Build IMG with the credential helpers of Amazon, Google and Azure in it.
	$(CONTAINER_TOOL) build -f Dockerfile.cloud --build-arg BASE='$(IMG)' -t '$(IMG)' .

.PHONY: docker-push
docker-push: ## Push the image IMG.
	$(CONTAINER_TOOL) push '$(IMG)'

.PHONY: deploy
deploy: ## Install what the kustomize folder OVERLAY renders; IMG is the image, unless OVERLAY names one.
	@manifests=$$($(KUBECTL) kustomize '$(OVERLAY)') && \
	if grep -q '<registry.domain/username>' <<< "$$manifests"; then \
		echo 'REGISTRY_PREFIX is still the example: set it in a copy of examples/overlay, and name that: make deploy OVERLAY=examples/yours' >&2; exit 2; \
	fi && \
	sed 's|image: k8s-backup-image-registry-controller:latest|image: $(IMG)|' <<< "$$manifests" | $(KUBECTL) apply -f -

.PHONY: undeploy
undeploy: ## Remove what OVERLAY renders; workloads stay as they are.
	$(KUBECTL) kustomize '$(OVERLAY)' | $(KUBECTL) delete --ignore-not-found -f -

.PHONY: real-parts
real-parts: node_modules
	@$(RUN) tools

.PHONY: check-static
check-static: node_modules
	@$(RUN) check

# npm ci leaves this file; --ignore-scripts is in .npmrc.
node_modules: node_modules/.package-lock.json
node_modules/.package-lock.json: package.json package-lock.json
	@echo 'Installing the packages of package-lock.json ...' >&2
	@npm ci --loglevel error --no-progress
	@$(RUN) check-node || { echo 'Node of the lockfile does not start here. On Debian: apt-get install libatomic1' >&2; exit 1; }
	@touch $@
