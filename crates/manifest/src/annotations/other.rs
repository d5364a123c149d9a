//! Annotations of other prefixes.

use super::row::{Readers, Row, Served, Syntax, table};

table! {
    "";
    INGRESS_CLASS "kubernetes.io/ingress.class", Readers::INGRESS, Text, "the class of the Ingress, in place of spec.ingressClassName", "";
    DEFAULT_CLASS "ingressclass.kubernetes.io/is-default-class", Readers::CLASS, Boolean, "whether Ingresses without a class get this one", "false";
    CERTIFICATE_ARN "elbow.dev/certificate-arn", Readers::SECRET, Text, "the ARN that the certificate in the Secret is known by", "";
    QUIC_ENABLED_CONTAINERS "service.beta.kubernetes.io/aws-load-balancer-quic-enabled-containers", Readers::POD, List, "the containers that get a QUIC server ID", "";
}
