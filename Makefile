# Two commands set everything up on a fresh machine: `make demo` and `make test`.
# The virtual environment is made here and nowhere else; PYTHON may name any Python >= 3.11.

SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 0
# Half of what a test does is to wait: one more than there are processors keeps them busy.
JOBS ?= $(shell echo $$(($$(nproc) + 1)))
AUTOREDUCE_DATA ?= ../shared/data
export AUTOREDUCE_DATA

.PHONY: demo test lint acceptance soak fleet bench lab deb rpm docs clean activemq artemis bubblewrap chromium

demo: $(VENV)/.demo
	@$(BIN)/autoreduce-supervisor demo

test: lint activemq artemis chromium
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup tests/unit tests/contract tests/host tests/fleet tests/mutants -m "not soak" --durations=20

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

acceptance: $(VENV)/.dev activemq artemis
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup tests/acceptance -m "not soak"

fleet: $(VENV)/.dev activemq artemis
	AUTOREDUCE_SEED=$(SEED) $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup tests/fleet

# No dump of stacks on the way: tests last for minutes here, and reading the frames of a running thread may crash it.
soak: $(VENV)/.dev activemq artemis chromium
	AUTOREDUCE_SOAK=1 AUTOREDUCE_SEED=$(SEED) $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup tests -m soak --timeout 3600 -o faulthandler_timeout=0

bench: $(VENV)/.dev bubblewrap .bench/.benchexec
	$(BIN)/python bench/overhead.py
	$(BIN)/python bench/containment.py

# The opponents of the second: Debian's package, and benchexec in an environment of its own; nothing of ours needs them.
bubblewrap:
	@command -v bwrap >/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends bubblewrap >/dev/null; \
	  else echo "bubblewrap is missing; as root: apt-get install -y --no-install-recommends bubblewrap" >&2; exit 1; fi; }

.bench/.benchexec: $(VENV)/.made
	$(BIN)/python -m venv .bench/benchexec
	.bench/benchexec/bin/python -m pip install --quiet --disable-pip-version-check "benchexec==3.35"
	@touch $@

# The tests of a real broker need Debian's package; root gets it here, anyone else is told the command.
activemq:
	@test -e /usr/share/activemq/bin/activemq.jar || { \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends activemq default-jre-headless >/dev/null; \
	  else echo "activemq is missing; as root: apt-get install -y --no-install-recommends activemq default-jre-headless" >&2; exit 1; fi; }

# The pages are looked at in Debian's browser.
chromium:
	@command -v chromium >/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
	  else echo "chromium is missing; as root: apt-get install -y --no-install-recommends chromium fonts-dejavu-core" >&2; exit 1; fi; }

# The other broker comes from Maven Central, in the version of its pom; checksums are checked.
artemis: .brokers/artemis/.made

.brokers/artemis/.made: tests/support/artemis.pom.xml
	@command -v mvn >/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends maven default-jre-headless >/dev/null; \
	  else echo "maven is missing; as root: apt-get install -y --no-install-recommends maven default-jre-headless" >&2; exit 1; fi; }
	rm -rf .brokers/artemis
	mvn --batch-mode --quiet --strict-checksums --file $< \
	  org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
	  -DincludeScope=runtime -DoutputDirectory="$(CURDIR)/.brokers/artemis"
	@touch $@

LAB ?= ../shared/lab
lab: $(VENV)/.dev
	@if test -x $(LAB)/vm-run; then LAB=$(LAB) $(BIN)/python -m pytest tests/lab -m lab -o faulthandler_timeout=0; \
	else echo "NOT RUN: there is no lab here; name it: make lab LAB=<folder of vm-run>"; fi

# Packages for the system whose Python is named; what they install is told in docs/how-to/install.md.
PACKAGE_PYTHON ?= /usr/bin/python3
deb: $(VENV)/.dev
	$(BIN)/python -m sphinx -W -q -b man docs build/man
	$(BIN)/python packaging/deb.py dist --python $(PACKAGE_PYTHON)

rpm: $(VENV)/.dev
	@command -v rpmbuild >/dev/null || { echo "rpmbuild is missing; as root: apt-get install -y rpm" >&2; exit 1; }
	$(BIN)/python -m sphinx -W -q -b man docs build/man
	$(BIN)/python packaging/stage.py build/rpm/staged --python $(PACKAGE_PYTHON)
	rpmbuild -bb --quiet --define "_topdir $(CURDIR)/build/rpm" --define "_rpmdir $(CURDIR)/dist" \
	  --define "staged $(CURDIR)/build/rpm/staged" --define "payload_version $$(ls build/rpm/staged/payload/opt/autoreduce-supervisor)" \
	  packaging/autoreduce-supervisor.spec

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "Python >= 3.11 is missing; as root: apt-get install -y python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null; \
	  else echo "python3-venv is missing; as root: apt-get install -y python3-venv" >&2; exit 1; fi; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@

# The pages as HTML and the two manual pages; a warning is an error.
docs: $(VENV)/.dev
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	$(BIN)/python -m sphinx -W --keep-going -q -b man docs build/man

clean:
	rm -rf $(VENV) build .bench .brokers .mypy_cache .ruff_cache .pytest_cache .hypothesis
