//! Arguments of `elbow controller`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Args, Subcommand, ValueEnum};
use elbow_kube::{LeaderElection, StatusAddress};
use elbow_manifest::Context;
use elbow_manifest::context::{Personality, check_gate};

use super::cluster::ClusterArgs;
use super::input::PersonalityArg;
use super::serving::{AddressOrOff, ServingArgs};

#[derive(Args, Debug)]
#[command(
    after_help = "The cluster is named by --kubeconfig, KUBECONFIG, ~/.kube/config or the service account of the pod, in \
    this order. Flags of the AWS Load Balancer Controller keep their meaning and override the environment file. \
    docs/controller.md describes how to run elbow beside the cluster and in it."
)]
pub(crate) struct ControllerArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ControllerCommand>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) flags: Flags,
    /// A native configuration file to serve as well; read again when it changes and on SIGHUP.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What the status of Ingresses and Services contains.
    #[arg(long, value_enum, default_value_t = StatusAddressArg::Hostname)]
    pub(crate) status_address: StatusAddressArg,
    /// Write the resource stack of each group to its annotation dry-run-plan.
    #[arg(long)]
    pub(crate) dry_run_plan: bool,
    /// Let only the replica that holds the Lease write to the cluster; all replicas serve.
    #[arg(long, value_name = "BOOL", default_value_t = true, default_missing_value = "true", num_args = 0..=1,
        require_equals = true, action = ArgAction::Set)]
    pub(crate) leader_elect: bool,
    /// The namespace of the Lease [default: that of the pod or of the kubeconfig].
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) leader_election_namespace: Option<String>,
    /// The name of the Lease.
    #[arg(long, value_name = "NAME", default_value = "elbow-leader")]
    pub(crate) leader_election_id: String,
    /// The address of the admission webhooks, which add readiness gates and QUIC server IDs to new pods.
    #[arg(long, value_name = "ADDR|off", default_value = "off")]
    pub(crate) webhook: AddressOrOff,
    /// The Secret with the token that --probes requires, in the namespace of the pod; created if it does not exist.
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "admin_token",
        requires = "probes"
    )]
    pub(crate) admin_token_secret: Option<String>,
    #[command(flatten)]
    pub(crate) serving: ServingArgs,
}

impl ControllerArgs {
    /// How replicas elect the one that writes.
    pub(crate) fn leader_election(&self) -> LeaderElection {
        LeaderElection {
            enabled: self.leader_elect,
            namespace: self.leader_election_namespace.clone(),
            id: self.leader_election_id.clone(),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ControllerCommand {
    /// Print the CRDs of IngressClassParams and TargetGroupBinding, for kubectl apply -f -.
    Crds {
        /// Print those of EKS Auto Mode instead, for a cluster outside of EKS.
        #[arg(long)]
        eks_auto_mode: bool,
    },
    /// Print the `ip route` commands that let this machine reach pods that are targets.
    Routes,
    /// Check that the cluster has what elbow needs: permissions, CRDs, a supported version.
    Check,
}

/// The flags of the AWS Load Balancer Controller, and the environment file, which also sets their values.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    /// A file with the facts about AWS that the cluster does not contain.
    #[arg(long, value_name = "FILE")]
    pub(crate) environment: Option<PathBuf>,
    /// Which controllers create load balancers for Services [default: the personality of the environment file, otherwise
    /// lbc-default].
    #[arg(long, value_enum)]
    personality: Option<PersonalityArg>,
    /// The name of the cluster, which is part of the names of load balancers.
    #[arg(long, value_name = "NAME")]
    cluster_name: Option<String>,
    /// The controller of the IngressClasses to serve [default: ingress.k8s.aws/alb and elbow/alb; beside AWS Load Balancer
    /// Controller only elbow/alb].
    #[arg(long, value_name = "CONTROLLER")]
    controller_name: Option<String>,
    /// The class of Ingresses to serve without an IngressClass, named by the annotation kubernetes.io/ingress.class
    /// [default: alb and elbow; beside AWS Load Balancer Controller only elbow].
    #[arg(long, value_name = "CLASS")]
    ingress_class: Option<String>,
    /// The default target type of Ingresses and Services: `instance` or `ip`.
    #[arg(long, value_name = "TYPE", value_parser = ["instance", "ip"])]
    default_target_type: Option<String>,
    /// The default security policy of listeners.
    #[arg(long, value_name = "POLICY")]
    default_ssl_policy: Option<String>,
    /// The default scheme of load balancers: `internal` or `internet-facing`.
    #[arg(long, value_name = "SCHEME", value_parser = ["internal", "internet-facing"])]
    default_load_balancer_scheme: Option<String>,
    /// The loadBalancerClass of Services that get a Network Load Balancer [default: service.k8s.aws/nlb and elbow/nlb; beside
    /// AWS Load Balancer Controller only elbow/nlb].
    #[arg(long, value_name = "CLASS")]
    load_balancer_class: Option<String>,
    /// Tags for all resources.
    #[arg(long, value_name = "KEY=VALUE,…")]
    default_tags: Option<Pairs<String>>,
    /// The environment variable of containers with their QUIC server ID [default: AWS_LBC_QUIC_SERVER_ID].
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    quic_environment_variable_name: Option<String>,
    /// Feature gates of the AWS Load Balancer Controller, like EnableIPTargetType=false. Unknown ones are refused.
    #[arg(long, value_name = "GATE=BOOL,…", value_parser = feature_gates)]
    feature_gates: Option<Pairs<bool>>,
}

impl Flags {
    /// Overrides the values in `context` that flags name.
    pub(crate) fn apply(&self, context: &mut Context) {
        context.has_all_objects = true;
        let defaults = &mut context.defaults;
        let names = &mut defaults.ownership;
        for (flag, field) in [
            (&self.cluster_name, &mut context.cluster_name),
            (&self.controller_name, &mut names.controller_name),
            (&self.ingress_class, &mut names.ingress_class),
            (&self.load_balancer_class, &mut names.load_balancer_class),
            (&self.default_target_type, &mut defaults.target_type),
            (&self.default_ssl_policy, &mut defaults.ssl_policy),
            (
                &self.default_load_balancer_scheme,
                &mut defaults.load_balancer_scheme,
            ),
            (
                &self.quic_environment_variable_name,
                &mut defaults.quic_environment_variable_name,
            ),
        ] {
            if let Some(flag) = flag {
                flag.clone_into(field);
            }
        }
        if let Some(personality) = self.personality {
            context.personality = Personality::from(personality);
        }
        if let Some(tags) = &self.default_tags {
            context.defaults.tags = tags.0.clone();
        }
        for (gate, on) in self.feature_gates.iter().flat_map(|gates| &gates.0) {
            context.set_gate(gate, *on);
        }
    }
}

/// `a=b,c=d`.
#[derive(Clone, Debug)]
pub(crate) struct Pairs<T>(BTreeMap<String, T>);

impl<T: FromStr> FromStr for Pairs<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pieces = text.split(',').map(str::trim).filter(|one| !one.is_empty());
        let pair = |piece: &str| {
            let pair = piece.split_once('=');
            let pair = pair.and_then(|(key, value)| Some((key.to_owned(), value.parse().ok()?)));
            pair.ok_or_else(|| format!("expected KEY=VALUE pairs, found \"{piece}\""))
        };
        pieces.map(pair).collect::<Result<_, _>>().map(Self)
    }
}

/// `Gate=true,Gate=false`, of gates that exist. Values are those of Go's `strconv.ParseBool`, as the controller takes them.
fn feature_gates(text: &str) -> Result<Pairs<bool>, String> {
    let written: Pairs<String> = text.parse()?;
    let mut gates = BTreeMap::new();
    for (gate, value) in written.0 {
        let gate = gate.trim();
        check_gate(gate).map_err(|(message, hint)| format!("{message}; {hint}"))?;
        let is_on = match value.trim() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
            "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
            other => return Err(format!("{gate}: expected true or false, found \"{other}\"")),
        };
        gates.insert(gate.to_owned(), is_on);
    }
    Ok(Pairs(gates))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusAddressArg {
    /// The DNS name, as on AWS.
    Hostname,
    /// The address.
    Ip,
    /// Both.
    Both,
}

impl From<StatusAddressArg> for StatusAddress {
    fn from(arg: StatusAddressArg) -> Self {
        match arg {
            StatusAddressArg::Hostname => Self::Hostname,
            StatusAddressArg::Ip => Self::Ip,
            StatusAddressArg::Both => Self::Both,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: ControllerArgs,
    }

    fn parsed(flags: &[&str]) -> ControllerArgs {
        let all = std::iter::once(&"controller").chain(flags);
        CommandLine::try_parse_from(all)
            .unwrap_or_else(|e| panic!("{e}"))
            .args
    }

    /// `docs/deploy/configurations.md` of AWS Load Balancer Controller.
    #[test]
    fn flags_override_the_environment_file() {
        let (mut context, _) =
            Context::parse("clusterName: a\ndefaults: {targetType: ip}\n", "env.yaml");
        let flags = [
            "--cluster-name=b",
            "--feature-gates",
            "EnableIPTargetType=false,ALBSingleSubnet=true",
            "--default-tags=x=y=z,v=",
            "--quic-environment-variable-name=QUIC_ID",
        ];
        parsed(&flags).flags.apply(&mut context);
        assert_eq!(context.cluster_name, "b");
        assert_eq!(context.defaults.quic_environment_variable_name, "QUIC_ID");
        assert_eq!(context.defaults.target_type, "ip");
        assert!(!context.enable_ip_target_type);
        assert!(context.gate("ALBSingleSubnet", false));
        assert_eq!(context.defaults.tags["x"], "y=z");
        assert_eq!(context.defaults.tags["v"], "");
    }

    #[test]
    fn unknown_feature_gate_is_refused_with_the_nearest_one() {
        assert!(feature_gates("NLBSecurityGroup=F, ALBSingleSubnet=1,").is_ok());
        let refused = |text| feature_gates(text).unwrap_err();
        assert_eq!(
            refused("NLBSecurityGroups=false"),
            "unknown feature gate NLBSecurityGroups; did you mean \"NLBSecurityGroup\"?"
        );
        assert_eq!(
            refused("NLBSecurityGroup=no"),
            "NLBSecurityGroup: expected true or false, found \"no\""
        );
        let all = refused("X=true");
        assert!(all.starts_with("unknown feature gate X; the feature gates are ALBGatewayAPI, "));
    }

    #[test]
    fn leader_election_has_the_flags_of_aws_load_balancer_controller() {
        assert!(parsed(&[]).leader_elect);
        assert!(parsed(&["--leader-elect"]).leader_elect);
        assert!(!parsed(&["--leader-elect=false"]).leader_elect);
    }

    #[test]
    fn cluster_may_be_named_after_the_subcommand() {
        let args = parsed(&["check", "--kubeconfig", "k", "--watch-namespace=a"]);
        assert!(matches!(args.command, Some(ControllerCommand::Check)));
        assert_eq!(args.cluster.kubeconfig, Some(PathBuf::from("k")));
        assert_eq!(args.cluster.watch_namespace.as_deref(), Some("a"));
    }
}
