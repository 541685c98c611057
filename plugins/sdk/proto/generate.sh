#!/bin/sh
# Generates the Go code of the plugin contract, next to its .proto file, and the Python code
# in plugins/python.
#
# Run it after each change of the .proto file and commit what it writes. It refuses other
# versions of the tools than these, so that the generated code changes only with the contract:
#
#   protoc              3.21.12   (Debian: protobuf-compiler)
#   protoc-gen-go       v1.36.12  go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
#   protoc-gen-go-grpc  1.6.2     go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
#
# The Python code works with Debian's python3-protobuf of the same generation, and later ones.
set -eu
cd "$(dirname "$0")"

want() {
	got=$("$1" --version)
	if [ "$got" != "$2" ]; then
		echo "generate.sh: want \"$2\", got \"$got\"" >&2
		exit 1
	fi
}
want protoc "libprotoc 3.21.12"
want protoc-gen-go "protoc-gen-go v1.36.12"
want protoc-gen-go-grpc "protoc-gen-go-grpc 1.6.2"

protoc --proto_path=. \
	--go_out=. --go_opt=paths=source_relative \
	--go-grpc_out=. --go-grpc_opt=paths=source_relative \
	stepagent/validator/v1/validator.proto

protoc --proto_path=stepagent/validator/v1 \
	--python_out=../../python/stepagent_validator --pyi_out=../../python/stepagent_validator \
	validator.proto
