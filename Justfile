# Short names for `cargo xtask`, which does the work and needs no just.

# List the recipes
default:
    @{{ just_executable() }} --list --unsorted

# Build target/nexus_filter.wasm and target/release/nexusctl
build *OPTIONS:
    cargo xtask build {{ OPTIONS }}

# Run every test, or those whose name contains one of FILTERS
test *FILTERS:
    cargo xtask test {{ FILTERS }}

# Check formatting, lints, dependencies, the architecture and generated files
check:
    cargo xtask check

# Show a real Envoy allow and deny; `just demo --keep` leaves it running
demo *OPTIONS:
    cargo xtask demo {{ OPTIONS }}

# Measure the filter beside Envoy's own in real Envoys
bench *ARGUMENTS:
    cargo xtask bench {{ ARGUMENTS }}

# Write the generated pages under docs/ again
docs *OPTIONS:
    cargo xtask docs {{ OPTIONS }}

# Ask the advisory database about the dependencies
audit:
    cargo xtask audit

# What continuous integration runs
ci:
    bash .ci/run
