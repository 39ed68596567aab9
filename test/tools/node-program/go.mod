// What runs in the containers of the real node.
module backup-image-registry/test/tools/node-program

go 1.26.0
