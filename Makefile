# One verb a line; `make` alone lists them.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export BENTOML_DO_NOT_TRACK = True

.PHONY: help install serve test check fix bench-media bench-http bench-capture bench-alerts bench-engine bench-soak bench-caches bench-gpu demo-model demo-report camera picture bento image clean

help:  ## List the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(STAMP)  ## Make .venv with the pinned packages; quick when nothing changed

$(STAMP): requirements.txt requirements-dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "Lookout needs Python 3.11: install it, or say make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: as root, apt-get install python3-venv"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	touch $@

serve: install  ## Serve on http://localhost:3000
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/bentoml serve service:LLaVAVideoService

test: install  ## Run the tests, but for those that take long
	$(BIN)/python -m pytest -m "not gpu and not slow"

check: install  ## The whole gate: format, lint, imports, types, tests with coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy .
	$(BIN)/python -m pytest -m "not gpu and not slow" --cov --cov-report=term

fix: install  ## Format, mend what can be mended, rewrite generated parts of the README
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python -m contracts.documentation README.md
	$(BIN)/python -m api.documentation README.md
	$(BIN)/python -m llava_custom.documentation README.md

bench-media: install  ## Frame sampling against decord, OpenCV, PyAV and torchcodec
	$(BIN)/python -m bench.media

bench-http: install  ## What HTTP adds to the bare runner
	$(BIN)/python -m bench.http

bench-capture: install  ## A live camera's cost, against decoding every frame
	$(BIN)/python -m bench.capture

bench-alerts: install  ## Alerts against the truth, and what rules and streams cost
	$(BIN)/python -m bench.alerts --document docs/benchmarks.md

bench-engine: install  ## Many clients, against transformers serve and vLLM; PEERS=DIRECTORY has them
	$(BIN)/python -m bench.engine --document docs/benchmarks.md $(if $(PEERS),--peers $(PEERS))

bench-soak: install  ## Half an hour at twice the capacity: memory, deadlines, health
	$(BIN)/python -m bench.soak --document docs/benchmarks.md

bench-gpu: install  ## Checkpoints of full size on a GPU, against transformers and bandwidth
	$(BIN)/python -m bench.gpu

bench-caches: install  ## What is saved by computing nothing twice
	$(BIN)/python -m bench.caches

demo-model: install  ## Train the demo model (resumable)
	$(BIN)/python -m demo.train

demo-report: install  ## Measure the demo model through the whole service; QUANTIZATION=nf4 in 4 bits
	$(BIN)/python -m demo.report $(if $(QUANTIZATION),--quantization $(QUANTIZATION))

camera: install  ## Publish the demo world as a camera, rtsp://127.0.0.1:8554/demo
	$(BIN)/python -m demo.camera

bento: install  ## Build the Bento
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/bentoml build

clean:  ## Remove what was made here, but for the virtual environment
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .coverage
