# Filament. Every target sets itself up; a second start finds the environment ready.

VENV := .venv
STAMP := $(VENV)/.stamp
ARGS ?=

.PHONY: setup demo test package boards board-test sweep interop outside programs bench clean

setup: $(STAMP)
	@echo "ready: $(VENV)/bin/filament"

$(STAMP): pyproject.toml requirements.lock host_tools/setup.sh \
		host_tools/emulator/package-lock.json host_tools/emulator/firmware.lock
	@host_tools/setup.sh $(VENV)
	@touch $@

demo: $(STAMP)
	@$(VENV)/bin/filament demo $(ARGS)

test: $(STAMP)
	@$(VENV)/bin/python -m pytest -n 2 --dist worksteal $(ARGS)

package: $(STAMP)
	@$(VENV)/bin/python -m host_tools.package

boards: $(STAMP)
	@$(VENV)/bin/python -m host_tools.boards $(ARGS)

sweep: $(STAMP)
	@$(VENV)/bin/python -m host_tools.tcp_sweep $(ARGS)

interop: $(STAMP)
	@$(VENV)/bin/python tests/interop $(ARGS)

outside: $(STAMP)
	@$(VENV)/bin/python tests/outside $(ARGS)

programs: $(STAMP)
	@$(VENV)/bin/python tests/programs $(ARGS)

board-test: $(STAMP)
	@$(VENV)/bin/python -m pytest tests/board $(ARGS)

bench: $(STAMP)
	@$(VENV)/bin/python -m host_tools.bench $(ARGS)

clean:
	rm -rf $(VENV) build .pytest_cache .hypothesis *.egg-info host_tools/emulator/node_modules
