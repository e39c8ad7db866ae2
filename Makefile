# One word for each habit. Each sets up what it needs in .venv, and is quick the second time.

.PHONY: help demo test test-plan test-all interop coverage lint format clean
.DELETE_ON_ERROR:

BIN := .venv/bin
# uv, which pip installs, because it needs a fifth of the time. It does not read pip's settings: an index of your own is
# named by UV_DEFAULT_INDEX, or make INSTALL=".venv/bin/python -m pip install -qq" takes pip.
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python

# pyenv and uv keep Pythons where PATH does not show them, and tox and uv look on PATH.
PYENV_ROOT ?= $(HOME)/.pyenv
# The free-threaded build has another name, and no other place of its own than a prefix such as /opt/py314t.
ELSEWHERE := $(wildcard $(PYENV_ROOT)/versions/3.1[1-5].*/bin/python $(HOME)/.local/share/uv/python/cpython-3.1[1-5].*/bin/python3)
THREADED := $(wildcard $(PYENV_ROOT)/versions/3.14*t/bin/python3.14t /opt/py314t/bin/python3.14t)
export PATH := $(PATH)$(subst $() ,,$(foreach python,$(ELSEWHERE) $(THREADED),:$(dir $(python))))
# Hundreds of tests start a Python, and each would compile the package and what it imports again.
unexport PYTHONDONTWRITEBYTECODE
# A Python that this machine does not have is skipped, and not fetched.
export UV_PYTHON_DOWNLOADS ?= never

help:
	@echo "make demo      run an agent, kill it half-way, run it again"
	@echo "make test      the suite on the Python at hand, in about four minutes"
	@echo "make test-all  the rest: every Python found, the oldest dependencies, no orjson; in about 25 minutes on two cores"
	@echo "make lint      style, format, strict types, and which module may import which"
	@echo "make format    mend what the linter can mend"
	@echo "make interop   rolloutlog and the real Codex resume each other's sessions (fetches two releases and Claude Code with npm)"
	@echo "make interop-all  the same with eighteen releases more (1.5 GB), in about a quarter of an hour"
	@echo "make engines   the tables in Ray, Spark, Daft and DataFusion, in local mode; needs Java 17"
	@echo "make browser   pages in a real Chromium, which must be there; fetches axe-core with npm"
	@echo "make docs      the pages as a site, in site/; a warning, or a link within it that leads nowhere, is an error"
	@echo "make docs-links  the links to other sites; needs a network"
	@echo "make pictures  the pictures in docs/pictures, with a real Chromium"
	@echo "make faults    kills, power cuts, full disks, forks, storms of signals: one table, in about a quarter of an hour"
	@echo "make faults-long  the same with the sizes of docs/promises.md, in some hours"
	@echo "make mutants   puts faults into the code that writes; its tests must notice most; in about a quarter of an hour"
	@echo "make coverage  what the suite does not reach"
	@echo "make dist      the files of a release, checked, and installed into clean environments"
	@echo "make bench     rolloutlog side by side with its peers, in about half an hour; writes docs/benchmarks.md"
	@echo "make clean     remove what the others made"

demo: .venv/package.stamp
	@$(BIN)/python tools/demo.py

# make test ARGS="-k queue" hands ARGS to pytest; a second -m in them replaces this one. One process more than there are
# cores, because much of the suite waits, for other processes and for disks.
test: test-plan .venv/suite.stamp
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -rfE $(SUITE) $(ARGS)

# The folders that need other programs have targets of their own, which fail where a program is not there.
FOLDERS := browser engines interop
SUITE := --hypothesis-profile=brief -m "not slow" $(FOLDERS:%=--ignore=tests/%)
PROCESSES ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
SIDE_BY_SIDE := --numprocesses=$(PROCESSES) --dist=worksteal

test-plan:
	@echo "make test runs the suite once, on one Python, $(PROCESSES) tests at a time: about four minutes on two cores."
	@echo "Without the tests that need the Codex CLI (make interop), Chromium (make browser) or an engine (make engines)."
	@test -e .venv/suite.stamp || echo "Before that, once, it installs what the suite needs into .venv: half a minute."

# The other Pythons and dependencies. All environments at once, because much of the suite waits; and an environment that
# ran alone at the end would leave the other cores idle. Without the Python of `make test`, which has run all but the slow.
test-all: .venv/matrix.stamp
	@echo "make test-all runs what a Python or a dependency can change, in an environment for each: about 25 minutes on two cores."
	@rm -rf build  # setuptools would ship from it what has left the source tree
	TOX_SKIP_ENV="^$$($(BIN)/python -c 'import sys; print("%d[.]%d" % sys.version_info[:2])')$$" $(BIN)/tox run-parallel --parallel all -- $(ARGS)

# A bare pytest skips these tests where the programs are not there; here, and in CI, that is a failure.
interop: .venv/zstd.stamp .venv/test.stamp
	$(BIN)/python tests/interop/releases.py
	$(BIN)/python tests/interop/claude.py
	ROLLOUTLOG_REQUIRE_INTEROP=1 $(BIN)/python -m pytest tests/interop $(ARGS)

.PHONY: interop-all
interop-all: .venv/zstd.stamp .venv/test.stamp
	$(BIN)/python tests/interop/releases.py
	$(BIN)/python tests/interop/other_releases.py
	$(BIN)/python tests/interop/claude.py
	ROLLOUTLOG_REQUIRE_INTEROP=1 ROLLOUTLOG_INTEROP_RELEASES=all $(BIN)/python -m pytest tests/interop $(ARGS)

# A bare pytest skips these tests where there is no Chromium; here, and in CI, that is a failure.
.PHONY: browser pictures docs docs-links
browser: .venv/face.stamp .venv/test.stamp .venv/browser.stamp .browser/node_modules/axe-core/axe.min.js
	ROLLOUTLOG_REQUIRE_BROWSER=1 $(BIN)/python -m pytest tests/browser $(ARGS)

.browser/node_modules/axe-core/axe.min.js:
	npm install --silent --no-save --prefix .browser axe-core@4.14.1

# A bare pytest skips these tests where an engine is not there; here, and in CI, that is a failure. The engines have an
# environment of their own, because they are a gigabyte. Spark needs Java 17.
.PHONY: engines
ENGINES := .venv/engines/bin/python

engines: .venv/engines/installed
	ROLLOUTLOG_REQUIRE_ENGINES=1 $(ENGINES) -m pytest tests/engines $(ARGS)

.venv/engines/installed: $(BIN)/uv setup.cfg pyproject.toml
	$(BIN)/python -m venv --clear .venv/engines
	$(BIN)/uv pip install --quiet --python $(ENGINES) --editable '.[fast,zstd,arrow]' --group engines
	@touch $@

# -E reads all pages again: a page that did not change may link to one that did.
docs: .venv/face.stamp .venv/docs.stamp
	$(BIN)/python -m sphinx -E -W --keep-going -q docs site
	@echo "site/index.html"

docs-links: .venv/face.stamp .venv/docs.stamp
	$(BIN)/python -m sphinx -E -W --keep-going -q -b linkcheck docs site/links

# The pictures in docs/pictures.
pictures: .venv/face.stamp .venv/test.stamp .venv/browser.stamp
	$(BIN)/python tools/pictures.py

# The files of a release: built, checked as the index checks them, and the wheel installed into clean environments.
.PHONY: dist
dist: .venv/dist.stamp
	rm -rf build dist
	$(BIN)/python -m build --installer uv
	$(BIN)/twine check --strict dist/*
	$(BIN)/python tools/clean_install.py dist/*.whl

coverage: .venv/suite.stamp .venv/coverage.stamp
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(SIDE_BY_SIDE) $(SUITE) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: .venv/sdk.stamp .venv/lint.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 rolloutlog/_systems.py rolloutlog/_windows.py
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/python tools/prose.py
	$(BIN)/zizmor --offline --pedantic --quiet .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/idea.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

# The words that tools/prose.toml does not accept in comments, docstrings, messages and pages: make prose ARGS=README.md
.PHONY: prose
prose: .venv/venv.stamp
	@$(BIN)/python tools/prose.py $(ARGS)

format: .venv/lint.stamp
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv build dist *.egg-info .coverage .coverage.* .hypothesis .pytest_cache .mypy_cache .ruff_cache
	rm -rf .interop .browser mutants site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The first Python that runs and is new enough: a pyenv shim exists, and fails, for each version that is not switched on.
.venv/venv.stamp:
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14 python3.15 $(ELSEWHERE); do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "$$python -m venv .venv"; $$python -m venv --clear .venv || exit; break; \
	  fi; \
	done
	@test -x $(BIN)/python || { echo "No Python 3.11 or later was found. Try make PYTHON=/path/to/python3"; exit 1; }
	@touch $@

$(BIN)/uv: .venv/venv.stamp
	@$(BIN)/python -m pip install -qq --disable-pip-version-check 'uv>=0.9'
	@touch $@

.venv/package.stamp: $(BIN)/uv setup.cfg pyproject.toml
	$(INSTALL) --editable '.[fast]'
	@touch $@

# All that the suite imports.
.venv/suite.stamp: $(BIN)/uv setup.cfg pyproject.toml
	@$(INSTALL) --editable '.[fast,zstd,cli,view,duckdb,openai,agents,otel,remote]' --group suite
	@touch $@

# What type-checked code imports besides: a demo does not wait for it.
.venv/sdk.stamp: .venv/package.stamp
	$(INSTALL) --editable '.[fast,cli,view,openai,agents]'
	@touch $@

# What Codex compresses is judged, too.
.venv/zstd.stamp: .venv/package.stamp
	$(INSTALL) --editable '.[fast,zstd]'
	@touch $@

# Pages, notebooks and the command.
.venv/face.stamp: .venv/package.stamp
	$(INSTALL) --editable '.[fast,cli,view]'
	@touch $@

# One dependency group, so that a demo waits for no linter: .venv/lint.stamp stands for the group lint, and so on.
.venv/%.stamp: $(BIN)/uv pyproject.toml
	$(INSTALL) --group $*
	@touch $@

# -- faults -----------------------------------------------------------------------------------------------------------
# Each row of the table runs alone, too: python -m tests.faults --list
.PHONY: faults faults-long mutants

faults: .venv/zstd.stamp .venv/test.stamp .venv/fuzz.stamp
	$(BIN)/python -m tests.faults $(ARGS)

faults-long: .venv/zstd.stamp .venv/test.stamp .venv/fuzz.stamp
	$(BIN)/python -m tests.faults --size long $(ARGS)

mutants: .venv/zstd.stamp .venv/mutants.stamp
	$(BIN)/python tools/mutants.py $(ARGS)

# Side by side with the peers. They have an environment of their own, so that no test can depend on them.
# make bench ARGS="writing --small" measures one table, in a size whose figures mean nothing, and leaves the page as it
# is; make bench ARGS="writing --only 'SDK message'" measures one scene; ARGS=--help lists the other options.
.PHONY: bench

BENCH := .venv/bench/bin/python

bench: .venv/bench/installed
	$(BENCH) -m benchmarks $(or $(ARGS),--page docs/benchmarks.md)
	$(if $(ARGS),,$(BENCH) -m benchmarks.fleet --plots docs/fleets)

.venv/bench/installed: $(BIN)/uv setup.cfg pyproject.toml
	$(BIN)/python -m venv --clear .venv/bench
	$(BIN)/uv pip install --quiet --python $(BENCH) --editable '.[fast,openai,duckdb,zstd]' --group bench
	@touch $@
