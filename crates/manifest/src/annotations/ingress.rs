//! The annotations of Ingresses and of the Services behind them (control-plane.md 2.2).

use super::row::{Readers, Row, Served, Syntax, table};
use super::service::{ADDRESSES, CLUSTERS, PREFIXES};

/// What their keys start with.
pub const PREFIX: &str = "alb.ingress.kubernetes.io/";

/// The feature gate under which the controller creates certificates.
pub(crate) const CREATES_CERTIFICATES: &str = "EnableCertificateManagement";

const INGRESS: Readers = Readers::INGRESS;
const BOTH: Readers = INGRESS.and(Readers::BACKEND);

table! {
    "alb.ingress.kubernetes.io/";
    ACM_PCA_ARN "acm-pca-arn", INGRESS, Text, "the private certificate authority of created certificates", "", Served::PlannedBehind(CREATES_CERTIFICATES);
    AUTH_IDP_COGNITO "auth-idp-cognito", BOTH, Json, "the Cognito user pool that authenticates clients", "";
    AUTH_IDP_OIDC "auth-idp-oidc", BOTH, Json, "the OpenID Connect provider that authenticates clients", "";
    AUTH_ON_UNAUTHENTICATED_REQUEST "auth-on-unauthenticated-request", BOTH, Text, "what happens to a client that is not authenticated", "authenticate";
    AUTH_SCOPE "auth-scope", BOTH, Text, "the scope that the provider is asked for", "openid";
    AUTH_SESSION_COOKIE "auth-session-cookie", BOTH, Text, "the name of the session cookie", "AWSELBAuthSessionCookie";
    AUTH_SESSION_TIMEOUT "auth-session-timeout", BOTH, Integer, "the seconds that a session lasts", "604800";
    AUTH_TYPE "auth-type", BOTH, Text, "how clients are authenticated: none, oidc or cognito", "none";
    BACKEND_PROTOCOL "backend-protocol", BOTH, Text, "the protocol of the target group", "HTTP";
    BACKEND_PROTOCOL_VERSION "backend-protocol-version", BOTH, Text, "the protocol version of the target group", "HTTP1";
    CERTIFICATE_ARN "certificate-arn", INGRESS, List, "the certificates of HTTPS listeners, the first as their default", "those that match the hosts";
    CREATE_ACM_CERT "create-acm-cert", INGRESS, Boolean, "whether a certificate is created for the hosts", "false", Served::PlannedBehind(CREATES_CERTIFICATES);
    CUSTOMER_OWNED_IPV4_POOL "customer-owned-ipv4-pool", INGRESS, Text, "the customer-owned pool that addresses come from", "", Served::Otherwise(ADDRESSES);
    DRY_RUN_PLAN "dry-run-plan", INGRESS, Output, "the stack that a dry run would make", "";
    ENABLE_FRONTEND_NLB "enable-frontend-nlb", INGRESS, Boolean, "whether a Network Load Balancer stands in front", "false";
    FRONTEND_NLB_ATTRIBUTES "frontend-nlb-attributes", INGRESS, Map, "the attributes of the Network Load Balancer in front", "";
    FRONTEND_NLB_EIP_ALLOCATIONS "frontend-nlb-eip-allocations", INGRESS, List, "the Elastic IP addresses of the Network Load Balancer in front", "", Served::Otherwise(ADDRESSES);
    FRONTEND_NLB_HEALTHCHECK_HEALTHY_THRESHOLD_COUNT "frontend-nlb-healthcheck-healthy-threshold-count", INGRESS, Integer, "the healthy threshold of the Network Load Balancer in front", "2";
    FRONTEND_NLB_HEALTHCHECK_INTERVAL_SECONDS "frontend-nlb-healthcheck-interval-seconds", INGRESS, Integer, "the health check interval of the Network Load Balancer in front, in seconds", "15";
    FRONTEND_NLB_HEALTHCHECK_PATH "frontend-nlb-healthcheck-path", INGRESS, Text, "the health check path of the Network Load Balancer in front", "/";
    FRONTEND_NLB_HEALTHCHECK_PORT "frontend-nlb-healthcheck-port", INGRESS, Text, "the health check port of the Network Load Balancer in front", "traffic-port";
    FRONTEND_NLB_HEALTHCHECK_PROTOCOL "frontend-nlb-healthcheck-protocol", INGRESS, Text, "the health check protocol of the Network Load Balancer in front", "HTTP";
    FRONTEND_NLB_HEALTHCHECK_SUCCESS_CODES "frontend-nlb-healthcheck-success-codes", INGRESS, Text, "the health check codes of the Network Load Balancer in front", "200";
    FRONTEND_NLB_HEALTHCHECK_TIMEOUT_SECONDS "frontend-nlb-healthcheck-timeout-seconds", INGRESS, Integer, "the health check timeout of the Network Load Balancer in front, in seconds", "5";
    FRONTEND_NLB_HEALTHCHECK_UNHEALTHY_THRESHOLD_COUNT "frontend-nlb-healthcheck-unhealthy-threshold-count", INGRESS, Integer, "the unhealthy threshold of the Network Load Balancer in front", "2";
    FRONTEND_NLB_LISTENER_PORT_MAPPING "frontend-nlb-listener-port-mapping", INGRESS, Map, "the ports of the Network Load Balancer in front", "the same ports";
    FRONTEND_NLB_SCHEME "frontend-nlb-scheme", INGRESS, Text, "the scheme of the Network Load Balancer in front", "internal";
    FRONTEND_NLB_SECURITY_GROUPS "frontend-nlb-security-groups", INGRESS, List, "the security groups of the Network Load Balancer in front", "";
    FRONTEND_NLB_SUBNETS "frontend-nlb-subnets", INGRESS, List, "the subnets of the Network Load Balancer in front", "";
    FRONTEND_NLB_TAGS "frontend-nlb-tags", INGRESS, Map, "the tags of the Network Load Balancer in front", "those of the ALB";
    GROUP_NAME "group.name", INGRESS, Text, "the IngressGroup that the Ingress joins", "a group of its own";
    GROUP_ORDER "group.order", INGRESS, Integer, "the place of the Ingress in its group, -1000 to 1000", "0";
    HEALTHCHECK_INTERVAL_SECONDS "healthcheck-interval-seconds", BOTH, Integer, "the health check interval in seconds", "15";
    HEALTHCHECK_PATH "healthcheck-path", BOTH, Text, "the health check path", "/, of GRPC /AWS.ALB/healthcheck";
    HEALTHCHECK_PORT "healthcheck-port", BOTH, Text, "the health check port: a number, a port of the Service or traffic-port", "traffic-port";
    HEALTHCHECK_PROTOCOL "healthcheck-protocol", BOTH, Text, "the health check protocol", "that of the target group";
    HEALTHCHECK_TIMEOUT_SECONDS "healthcheck-timeout-seconds", BOTH, Integer, "the health check timeout in seconds", "5";
    HEALTHY_THRESHOLD_COUNT "healthy-threshold-count", BOTH, Integer, "the successes in a row that make a target healthy", "2";
    INBOUND_CIDRS "inbound-cidrs", INGRESS, List, "the address ranges that may connect", "0.0.0.0/0 and ::/0";
    IP_ADDRESS_TYPE "ip-address-type", INGRESS, Text, "the address family of the load balancer", "ipv4";
    IPAM_IPV4_POOL_ID "ipam-ipv4-pool-id", INGRESS, Text, "the IPAM pool that addresses come from", "", Served::Otherwise(ADDRESSES);
    JWT_VALIDATION "jwt-validation", INGRESS, Json, "how JSON Web Tokens are validated", "";
    LISTEN_PORTS "listen-ports", INGRESS, Json, "the ports and protocols of the listeners", "[{\"HTTP\":80}], with a certificate [{\"HTTPS\":443}]";
    LOAD_BALANCER_ATTRIBUTES "load-balancer-attributes", INGRESS, Map, "the attributes of the load balancer", "";
    LOAD_BALANCER_NAME "load-balancer-name", INGRESS, Text, "the name of the load balancer, at most 32 characters", "k8s-, names and a hash";
    MANAGE_BACKEND_SECURITY_GROUP_RULES "manage-backend-security-group-rules", INGRESS, Boolean, "whether targets let in the shared backend security group", "false";
    MINIMUM_LOAD_BALANCER_CAPACITY "minimum-load-balancer-capacity", INGRESS, Map, "the capacity units that are reserved", "";
    MULTI_CLUSTER_TARGET_GROUP "multi-cluster-target-group", BOTH, Boolean, "whether several clusters register targets", "false", Served::Otherwise(CLUSTERS);
    MUTUAL_AUTHENTICATION "mutual-authentication", INGRESS, Json, "how client certificates are verified, per port", "off";
    SCHEME "scheme", INGRESS, Text, "internal or internet-facing", "internal";
    SECURITY_GROUP_PREFIX_LISTS "security-group-prefix-lists", INGRESS, List, "the prefix lists that may connect", "", Served::Otherwise(PREFIXES);
    SECURITY_GROUPS "security-groups", INGRESS, List, "the security groups of the load balancer, in place of one that is made", "";
    SHIELD_ADVANCED_PROTECTION "shield-advanced-protection", INGRESS, Boolean, "whether AWS Shield Advanced protects the load balancer", "", Served::Planned;
    SSL_POLICY "ssl-policy", INGRESS, Text, "the security policy of HTTPS listeners", "ELBSecurityPolicy-2016-08";
    SSL_REDIRECT "ssl-redirect", INGRESS, Integer, "the HTTPS port that HTTP listeners redirect to", "";
    SUBNETS "subnets", INGRESS, List, "the subnets of the load balancer, by id or name", "one per zone";
    SUCCESS_CODES "success-codes", BOTH, Text, "the status codes of a passing health check", "200, of GRPC 12";
    TAGS "tags", BOTH, Map, "the tags of every resource", "";
    TARGET_GROUP_ATTRIBUTES "target-group-attributes", BOTH, Map, "the attributes of the target group", "";
    TARGET_NODE_LABELS "target-node-labels", BOTH, Map, "the labels of the nodes that are targets", "";
    TARGET_TYPE "target-type", BOTH, Text, "instance or ip", "instance";
    UNHEALTHY_THRESHOLD_COUNT "unhealthy-threshold-count", BOTH, Integer, "the failures in a row that make a target unhealthy", "2";
    USE_REGEX_PATH_MATCH "use-regex-path-match", INGRESS, Boolean, "whether ImplementationSpecific paths are regular expressions", "false";
    WAF_ACL_ID "waf-acl-id", INGRESS, Text, "the web ACL of WAF Classic", "", Served::Planned;
    WAFV2_ACL_ARN "wafv2-acl-arn", INGRESS, Text, "the web ACL of WAF, by ARN", "", Served::Planned;
    WAFV2_ACL_NAME "wafv2-acl-name", INGRESS, Text, "the web ACL of WAF, by name", "", Served::Planned;
    WEB_ACL_ID "web-acl-id", INGRESS, Text, "the web ACL of WAF Classic, by its former key", "", Served::Planned;
    ACTIONS "actions" . "BACKEND", INGRESS, Json, "the action of a backend that paths name with the port use-annotation", "";
    CONDITIONS "conditions" . "BACKEND", INGRESS, Json, "more conditions of the rules that lead to a backend", "";
    LISTENER_ATTRIBUTES "listener-attributes" . "PROTOCOL-PORT", INGRESS, Map, "the attributes of a listener", "";
    TARGET_CONTROL_PORT "target-control-port" . "SERVICE.PORT", BOTH, Integer, "the port of the agent that a target runs for target optimizer", "";
    TRANSFORMS "transforms" . "BACKEND", INGRESS, Json, "the rewrites of the rules that lead to a backend", "";
}
