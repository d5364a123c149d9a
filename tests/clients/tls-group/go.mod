module tls-group

go 1.26
