// The reference library that container runtimes and registries use, as a filter for the differential test.
module backup-image-registry/test/tools/reference

go 1.26.0

require github.com/distribution/reference v0.6.0

require github.com/opencontainers/go-digest v1.0.0 // indirect
