"""The wire contracts and the code generated from them: run `make protos` after editing a .proto."""
