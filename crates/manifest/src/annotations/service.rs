//! The annotations of Services with a load balancer of their own (control-plane.md 3.1 and 4).

use super::row::{Readers, Row, Served, Syntax, table};

/// What their keys start with.
pub const PREFIX: &str = "service.beta.kubernetes.io/";

const CLASSIC: Readers = Readers::CLASSIC;
const LBC: Readers = Readers::LBC;
const CLASSIC_AND_LBC: Readers = CLASSIC.and(LBC);
const NETWORK: Readers = LBC.and(Readers::PROVIDER);
const ALL: Readers = CLASSIC.and(NETWORK);

/// What elbow does with prefix lists.
pub const PREFIXES: &str =
    "elbow does not know the addresses of a prefix list, so it admits nobody through it";
/// What elbow does with addresses.
pub const ADDRESSES: &str = "elbow takes addresses from the local pool";
/// What elbow does with target groups of several clusters.
pub const CLUSTERS: &str = "elbow registers only the targets of these objects";

table! {
    "service.beta.kubernetes.io/";
    ACCESS_LOG_EMIT_INTERVAL "aws-load-balancer-access-log-emit-interval", CLASSIC, Integer, "the minutes between access logs, 5 or 60", "60";
    ACCESS_LOG_ENABLED "aws-load-balancer-access-log-enabled", ALL, Boolean, "whether access logs are written", "false";
    ACCESS_LOG_S3_BUCKET_NAME "aws-load-balancer-access-log-s3-bucket-name", ALL, Text, "the bucket of access logs", "";
    ACCESS_LOG_S3_BUCKET_PREFIX "aws-load-balancer-access-log-s3-bucket-prefix", ALL, Text, "the prefix of access logs in their bucket", "";
    ADDITIONAL_RESOURCE_TAGS "aws-load-balancer-additional-resource-tags", ALL, Map, "the tags of every resource", "";
    ALPN_POLICY "aws-load-balancer-alpn-policy", LBC, Text, "the ALPN policy of TLS listeners", "None";
    ATTRIBUTES "aws-load-balancer-attributes", LBC, Map, "the attributes of the load balancer", "";
    BACKEND_PROTOCOL "aws-load-balancer-backend-protocol", ALL, Text, "the protocol of the targets: of a Network Load Balancer ssl, of a Classic one also tcp, http and https", "tcp";
    CONNECTION_DRAINING_ENABLED "aws-load-balancer-connection-draining-enabled", CLASSIC, Boolean, "whether connections may finish when an instance leaves", "false";
    CONNECTION_DRAINING_TIMEOUT "aws-load-balancer-connection-draining-timeout", CLASSIC, Integer, "the seconds that connections may take to finish", "300";
    CONNECTION_IDLE_TIMEOUT "aws-load-balancer-connection-idle-timeout", CLASSIC, Integer, "the seconds after which an idle connection is closed", "60";
    CROSS_ZONE_LOAD_BALANCING_ENABLED "aws-load-balancer-cross-zone-load-balancing-enabled", ALL, Boolean, "whether nodes use the targets of all zones", "false";
    DISABLE_NLB_SG "aws-load-balancer-disable-nlb-sg", LBC, Boolean, "whether the load balancer has no security groups", "false";
    EIP_ALLOCATIONS "aws-load-balancer-eip-allocations", NETWORK, List, "the Elastic IP addresses, one per subnet", "", Served::Otherwise(ADDRESSES);
    ENABLE_ICMP_FOR_PATH_MTU_DISCOVERY "aws-load-balancer-enable-icmp-for-path-mtu-discovery", LBC, Text, "whether the made security group lets ICMP in: on or off", "off";
    ENABLE_PREFIX_FOR_IPV6_SOURCE_NAT "aws-load-balancer-enable-prefix-for-ipv6-source-nat", LBC, Text, "whether UDP over IPv6 is translated: on or off", "off";
    ENABLE_TCP_UDP_LISTENER "aws-load-balancer-enable-tcp-udp-listener", LBC, Boolean, "whether a TCP and a UDP port of one number share a listener", "false";
    EXTRA_SECURITY_GROUPS "aws-load-balancer-extra-security-groups", CLASSIC, List, "security groups beside the one that is made", "";
    HEALTHCHECK_HEALTHY_THRESHOLD "aws-load-balancer-healthcheck-healthy-threshold", ALL, Integer, "the successes in a row that make a target healthy", "3, with local traffic policy or Classic 2";
    HEALTHCHECK_INTERVAL "aws-load-balancer-healthcheck-interval", ALL, Integer, "the health check interval in seconds", "10, of the provider's Network Load Balancers 30";
    HEALTHCHECK_PATH "aws-load-balancer-healthcheck-path", ALL, Text, "the health check path", "/, with local traffic policy /healthz";
    HEALTHCHECK_PORT "aws-load-balancer-healthcheck-port", ALL, Text, "the health check port", "traffic-port";
    HEALTHCHECK_PROTOCOL "aws-load-balancer-healthcheck-protocol", ALL, Text, "the health check protocol", "TCP, with local traffic policy HTTP";
    HEALTHCHECK_SUCCESS_CODES "aws-load-balancer-healthcheck-success-codes", LBC, Text, "the status codes of a passing health check", "200-399";
    HEALTHCHECK_TIMEOUT "aws-load-balancer-healthcheck-timeout", ALL, Integer, "the health check timeout in seconds", "10, with local traffic policy 6, of Classic 5";
    HEALTHCHECK_UNHEALTHY_THRESHOLD "aws-load-balancer-healthcheck-unhealthy-threshold", ALL, Integer, "the failures in a row that make a target unhealthy", "3, with local traffic policy 2, of Classic 6";
    INBOUND_SG_RULES_ON_PRIVATE_LINK_TRAFFIC "aws-load-balancer-inbound-sg-rules-on-private-link-traffic", LBC, Text, "whether security groups hold for PrivateLink: on or off", "";
    INTERNAL "aws-load-balancer-internal", ALL, Boolean, "whether the load balancer is internal; of a Classic one any text but false", "false";
    IP_ADDRESS_TYPE "aws-load-balancer-ip-address-type", LBC, Text, "the address family: ipv4 or dualstack", "ipv4";
    IPV6_ADDRESSES "aws-load-balancer-ipv6-addresses", LBC, List, "the IPv6 addresses, one per subnet", "", Served::Otherwise(ADDRESSES);
    MANAGE_BACKEND_SECURITY_GROUP_RULES "aws-load-balancer-manage-backend-security-group-rules", LBC, Boolean, "whether targets let in the shared backend security group", "false";
    MINIMUM_LOAD_BALANCER_CAPACITY "aws-load-balancer-minimum-load-balancer-capacity", LBC, Map, "the capacity units that are reserved", "";
    MULTI_CLUSTER_TARGET_GROUP "aws-load-balancer-multi-cluster-target-group", LBC, Boolean, "whether several clusters register targets", "false", Served::Otherwise(CLUSTERS);
    NAME "aws-load-balancer-name", LBC, Text, "the name of the load balancer, at most 32 characters", "k8s-, names and a hash";
    NLB_TARGET_TYPE "aws-load-balancer-nlb-target-type", LBC, Text, "instance or ip", "instance";
    PRIVATE_IPV4_ADDRESSES "aws-load-balancer-private-ipv4-addresses", NETWORK, List, "the private IPv4 addresses, one per subnet", "", Served::Otherwise(ADDRESSES);
    PROXY_PROTOCOL "aws-load-balancer-proxy-protocol", CLASSIC_AND_LBC, Text, "whether targets get a PROXY header: *", "";
    PROXY_PROTOCOL_PER_TARGET_GROUP "aws-load-balancer-proxy-protocol-per-target-group", LBC, List, "the ports whose targets get a PROXY header", "";
    QUIC_ENABLED_PORTS "aws-load-balancer-quic-enabled-ports", LBC, List, "the UDP ports that become QUIC", "";
    SCHEME "aws-load-balancer-scheme", LBC, Text, "internal or internet-facing", "internal";
    SECURITY_GROUP_PREFIX_LISTS "aws-load-balancer-security-group-prefix-lists", LBC, List, "the prefix lists that may connect", "", Served::Otherwise(PREFIXES);
    SECURITY_GROUPS "aws-load-balancer-security-groups", CLASSIC_AND_LBC, List, "the security groups of the load balancer, in place of one that is made", "";
    SOURCE_NAT_IPV6_PREFIXES "aws-load-balancer-source-nat-ipv6-prefixes", LBC, List, "the prefixes that UDP over IPv6 comes from, one per subnet", "auto_assigned";
    SSL_CERT "aws-load-balancer-ssl-cert", ALL, List, "the certificates of TLS listeners, the first as their default", "";
    SSL_NEGOTIATION_POLICY "aws-load-balancer-ssl-negotiation-policy", ALL, Text, "the security policy of TLS listeners", "ELBSecurityPolicy-2016-08";
    SSL_PORTS "aws-load-balancer-ssl-ports", ALL, List, "the ports that speak TLS, by number or name", "all";
    SUBNETS "aws-load-balancer-subnets", ALL, List, "the subnets of the load balancer, by id or name", "one per zone";
    TARGET_GROUP_ATTRIBUTES "aws-load-balancer-target-group-attributes", NETWORK, Map, "the attributes of the target groups", "";
    TARGET_NODE_LABELS "aws-load-balancer-target-node-labels", ALL, Map, "the labels of the nodes that are targets", "";
    TYPE "aws-load-balancer-type", ALL, Text, "which controller makes which load balancer: nlb, nlb-ip or external", "";
    SOURCE_RANGES "load-balancer-source-ranges", ALL, List, "the address ranges that may connect", "0.0.0.0/0";
    LISTENER_ATTRIBUTES "aws-load-balancer-listener-attributes" . "PROTOCOL-PORT", LBC, Map, "the attributes of a listener", "";
    PORT_TARGET_GROUP_ATTRIBUTES "aws-load-balancer-target-group-attributes" . "PORT", LBC, Map, "the attributes of the target group of a port", "";
    ACTIONS "actions" . "PROTOCOL-PORT", LBC, Json, "the Services that share a listener's connections", "";
}
