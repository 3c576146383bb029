# The short face of Meson and Ninja. `make` builds build/tidings; `make help` lists the rest.
BUILD ?= build
PREFIX ?= /usr/local
sources = $(shell git ls-files '*.c' '*.h')

.PHONY: all help demo test test-kafka campaign campaign-store story bench attack format check-format layers deps clean install

all: $(BUILD)/build.ninja
	@ninja -C '$(BUILD)' programs
	@ln -sfn src/cli/tidings '$(BUILD)/tidings'

$(BUILD)/build.ninja:
	@command -v meson >/dev/null || { echo "meson is missing: make deps"; exit 1; }
	meson setup '$(BUILD)'

help:
	@echo "make               build $(BUILD)/tidings, the library and the example"
	@echo "make demo          run the online retail store on the bus; ORDERS=FILE for your own orders"
	@echo "make test          run every test; ONLY='NAME ...' for some, ONLY=list names them"
	@echo "make test-kafka    run the library's, the store's and the layer's suites on three nodes of Apache Kafka, where Java and Maven are; ONLY='SUITE ...'"
	@echo "make campaign      clients against the server under faults; MINUTES=n (10), SEED=x plays one again"
	@echo "make campaign-store   the store under faults: bus, services and database are killed; MINUTES=n (10), SEED=x"
	@echo "make story         10,000 questions to the stories of services in six languages under kills; QUESTIONS=n, SEED=x"
	@echo "make bench         measure this machine's limit and Tidings beside it"
	@echo "make attack        measure how long a client waits beside an attacker; ARGS='NAME ...' for some"
	@echo "make format        lay out the sources; make check-format only looks"
	@echo "make layers        check that no file includes a higher floor"
	@echo "make deps          install what the build needs from Debian's packages"
	@echo "make install       install program, library and manual pages under PREFIX=$(PREFIX); DESTDIR=folder"
	@echo "make clean         remove the build folders"

deps:
	@tools/install-deps build

demo:
	@tools/install-deps build
	@$(MAKE) --no-print-directory '$(BUILD)/build.ninja'
	@ninja -C '$(BUILD)' demo-programs
	@ln -sfn src/cli/tidings '$(BUILD)/tidings'
	@TIDINGS_BIN='$(BUILD)/tidings' ORDERS='$(ORDERS)' examples/store/demo

test:
	@tools/install-deps test
	@/usr/bin/python3 tests/run $(ONLY)

test-kafka: all
	@ninja -C '$(BUILD)' tests/lanes/lane-service
	@TIDINGS_BIN='$(BUILD)/tidings' TIDINGS_BUILD='$(BUILD)' /usr/bin/python3 tests/kafka/run.py $(ONLY)

campaign:
	@tools/install-deps build
	@$(MAKE) --no-print-directory '$(BUILD)/build.ninja'
	@ninja -C '$(BUILD)'
	@/usr/bin/python3 tests/campaign/campaign.py --build '$(BUILD)' --minutes $(or $(MINUTES),10) \
		$(if $(SEED),--seed $(SEED))

campaign-store:
	@tools/install-deps build
	@$(MAKE) --no-print-directory all
	@TIDINGS_BIN='$(BUILD)/tidings' TIDINGS_BUILD='$(BUILD)' /usr/bin/python3 tests/campaign/store.py \
		--minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

story:
	@tools/install-deps test
	@$(MAKE) --no-print-directory all
	@ninja -C '$(BUILD)' tests/bus/foreign-service
	@TIDINGS_BIN="$$(realpath -ms -- '$(BUILD)/tidings')" TIDINGS_BUILD='$(BUILD)' \
		STORY_QUESTIONS=$(or $(QUESTIONS),10000) STORY_SEED=$(or $(SEED),1) /usr/bin/python3 tests/bus/test_truth.py

bench:
	@tools/install-deps build
	@$(MAKE) --no-print-directory all
	@TIDINGS_BIN="$$(realpath -ms -- '$(BUILD)/tidings')" bench/run $(ARGS)

attack:
	@tools/install-deps build
	@$(MAKE) --no-print-directory all
	@ninja -C '$(BUILD)' bench/load/bench-load tests/attack/steady-disk.so
	@TIDINGS_BIN='$(BUILD)/tidings' TIDINGS_BUILD='$(BUILD)' tests/attack/measure.py $(ARGS)

format:
	@clang-format -i $(sources)

check-format:
	@clang-format --dry-run -Werror $(sources)

layers:
	@tests/layers

install: $(BUILD)/build.ninja
	@meson configure '$(BUILD)' --prefix "$$(realpath -ms -- '$(PREFIX)')"
	@$(MAKE) --no-print-directory all
	meson install -C '$(BUILD)' --no-rebuild --strip $(if $(DESTDIR),--destdir "$$(realpath -ms -- '$(DESTDIR)')")
	@[ -n '$(DESTDIR)' ] || [ "$$(id -u)" != 0 ] || ldconfig

clean:
	rm -rf build build-test
