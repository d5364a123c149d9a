//! S3 pods to stand behind a load balancer: embedded ones and MinIO processes.
