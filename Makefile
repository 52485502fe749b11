# routesteer: build, test, measure. `make test` is what CI runs.

GO          ?= go
NFPM        := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.1
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
BUILD       := $(CURDIR)/build

.PHONY: all build test tools lint unit docs release release-test fuzz bench-tools bench report soak clean

all: build

build: ## the binary, in build/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(BUILD)/routesteer ./cmd/routesteer

test: tools lint unit ## everything CI runs

tools: ## what the tests need beside Go (Debian or Ubuntu)
	@scripts/test-tools
	@[ -x $(BUILD)/nfpm ] || GOBIN=$(BUILD) $(GO) install $(NFPM)

# With -race, everything is compiled once, for the linters and for the tests.
lint: tools
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	  if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet -race ./...
	$(GO) vet -race -tags release ./packaging
	GOBIN=$(BUILD) $(GO) install $(STATICCHECK)
	GOFLAGS="$$($(GO) env GOFLAGS) -race" $(BUILD)/staticcheck ./...
	shellcheck scripts/loopback-setup scripts/test-tools packaging/build packaging/scripts/* internal/frr/boot.sh internal/frr/router.sh

# Packages whose tests take longest, the longest first: what is started last ends last.
LONG := drivers/cisco internal/page scripts packaging drivers/bgp internal/simulation cmd/routesteer
# What a lab loses on a machine that has no time for it proves nothing, and is not judged;
# the other waits for news that must not come.
ALONE := internal/lab drivers/linux

# Tests often wait, for a router or a foreign program: more of them at once than
# there are processors. lint has vetted all.
unit: ## all tests with the race detector
	$(GO) test -race -vet=off -count 1 -parallel 4 -timeout 14m $(LONG:%=./%) $$($(GO) list ./... | grep -v $(ALONE:%=-e '/%$$'))
	$(GO) test -race -vet=off -count 1 -p 1 -parallel 4 -timeout 12m $(ALONE:%=./%)

release: tools ## what is released, in build/release: programs, deb and rpm, checksums
	packaging/build $(BUILD)/release

release-test: tools ## a release is the same when it is built again elsewhere, and its deb runs in a bare Debian
	$(GO) test -tags release -count 1 -timeout 20m ./packaging -run Release

docs: ## the man pages, and the pages about the configuration file, from the commands and the schema
	$(GO) test -count 1 ./cmd/routesteer -run ManPage -update
	$(GO) test -count 1 ./internal/manual -update

FUZZTIME ?= 30s
fuzz: ## every fuzz target for FUZZTIME
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz || true); do \
	    echo "== $$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

bench-tools: ## the programs that the benchmarks measure beside ours (Debian or Ubuntu)
	@scripts/bench-tools

bench: tools bench-tools ## speed, as ratios against other programs in the same run
	$(GO) test -run '^$$' -bench . -timeout 60m ./health/probe ./drivers/bgp ./drivers/cisco ./drivers/linux ./drivers/linux/flows ./steer ./internal/controller ./internal/metrics ./cmd/routesteer

report: build ## the headline figures: every fault, five times, both profiles
	$(BUILD)/routesteer lab report --repeat 5 --profile default
	$(BUILD)/routesteer lab report --repeat 5 --profile fast

soak: build ## ten minutes of each profile on a busy machine: nothing may move; a million minutes of stories; every router in every way; a thousand times a killed script; a thousand random routers
	$(GO) test -run TestStories -timeout 4h ./internal/simulation -args -minutes 1000000 -first 0
	$(GO) test -run TestKilledAnywhere -timeout 2h ./scripts -args -kills 1000
	$(GO) test -run 'TestReportOf|TestTours' -timeout 1h ./internal/lab -args -all
	$(GO) test -run 'TestRandomRouters|TestFRRPasses' -timeout 2h ./drivers/cisco -args -runs 1000 -both
	$(BUILD)/routesteer lab soak --profile default
	$(BUILD)/routesteer lab soak --profile fast

clean:
	rm -rf $(BUILD)
