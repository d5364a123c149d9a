//! What can be typed after `elbow controller`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Args, Subcommand, ValueEnum};
use elbow_kube::{LeaderElection, StatusAddress};
use elbow_manifest::Context;
use elbow_manifest::context::Personality;

use crate::cli::{AddressOrOff, PersonalityArg, ServingArgs};
use crate::cluster::ClusterArgs;

#[derive(Args, Debug)]
#[command(
    after_help = "The cluster: --kubeconfig, else KUBECONFIG, else ~/.kube/config, else the pod's service account. Flags \
    called as those of AWS Load Balancer Controller mean the same, and go before the environment file. \
    docs/controller.md describes both places to run it: beside the cluster and in it."
)]
pub(crate) struct ControllerArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ControllerCommand>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) flags: Flags,
    /// A native file whose load balancers are served as well; read again when it changes, and by SIGHUP.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What the status of Ingresses and Services names.
    #[arg(long, value_enum, default_value_t = StatusAddressArg::Hostname)]
    pub(crate) status_address: StatusAddressArg,
    /// Write the stack of each group to its annotation dry-run-plan.
    #[arg(long)]
    pub(crate) dry_run_plan: bool,
    /// Let only the replica that holds the Lease write to the cluster; all of them serve.
    #[arg(long, value_name = "BOOL", default_value_t = true, default_missing_value = "true", num_args = 0..=1,
        require_equals = true, action = ArgAction::Set)]
    pub(crate) leader_elect: bool,
    /// Where the Lease is [default: the namespace of the pod or of the kubeconfig].
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) leader_election_namespace: Option<String>,
    /// The name of the Lease.
    #[arg(long, value_name = "NAME", default_value = "elbow-leader")]
    pub(crate) leader_election_id: String,
    /// Where API servers ask which readiness gates a new pod gets.
    #[arg(long, value_name = "ADDR|off", default_value = "off")]
    pub(crate) webhook: AddressOrOff,
    /// The Secret with the token that --probes asks for, in the namespace of the pod; made if it is not there.
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
    /// Who writes.
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
    /// Print the definitions of IngressClassParams and TargetGroupBinding, for kubectl apply -f -.
    Crds,
    /// Print the `ip route` lines by which this machine reaches pods that are targets.
    Routes,
    /// Say what is missing in the cluster for elbow to serve it: permissions, CRDs, its version.
    Check,
}

/// The flags of AWS Load Balancer Controller, and where else their values stand.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    /// What AWS knows and the cluster does not say.
    #[arg(long, value_name = "FILE")]
    pub(crate) environment: Option<PathBuf>,
    /// Which controllers make load balancers of Services [default: what the environment says, else lbc-default].
    #[arg(long, value_enum)]
    personality: Option<PersonalityArg>,
    /// The name of the cluster, a part of the names of load balancers.
    #[arg(long, value_name = "NAME")]
    cluster_name: Option<String>,
    /// The class of the Ingresses that are served without an IngressClass, as by the annotation kubernetes.io/ingress.class
    /// [default: alb].
    #[arg(long, value_name = "CLASS")]
    ingress_class: Option<String>,
    /// `instance` or `ip`: the targets of Ingresses and Services that do not say.
    #[arg(long, value_name = "TYPE", value_parser = ["instance", "ip"])]
    default_target_type: Option<String>,
    /// The security policy of listeners that do not say.
    #[arg(long, value_name = "POLICY")]
    default_ssl_policy: Option<String>,
    /// `internal` or `internet-facing`: the scheme of load balancers that do not say.
    #[arg(long, value_name = "SCHEME", value_parser = ["internal", "internet-facing"])]
    default_load_balancer_scheme: Option<String>,
    /// The class of the Services that get a Network Load Balancer.
    #[arg(long, value_name = "CLASS")]
    load_balancer_class: Option<String>,
    /// Tags of everything.
    #[arg(long, value_name = "KEY=VALUE,…")]
    default_tags: Option<Pairs<String>>,
    /// Switches of AWS Load Balancer Controller, like EnableIPTargetType=false.
    #[arg(long, value_name = "GATE=BOOL,…")]
    feature_gates: Option<Pairs<bool>>,
}

impl Flags {
    /// Puts into `context` what was typed.
    pub(crate) fn apply(&self, context: &mut Context) {
        let defaults = &mut context.defaults;
        for (flag, field) in [
            (&self.cluster_name, &mut context.cluster_name),
            (&self.ingress_class, &mut defaults.ingress_class),
            (&self.default_target_type, &mut defaults.target_type),
            (&self.default_ssl_policy, &mut defaults.ssl_policy),
            (
                &self.default_load_balancer_scheme,
                &mut defaults.load_balancer_scheme,
            ),
            (&self.load_balancer_class, &mut defaults.load_balancer_class),
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
            if gate == "EnableIPTargetType" {
                context.enable_ip_target_type = *on;
            }
            context.feature_gates.insert(gate.clone(), *on);
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
            pair.ok_or_else(|| format!("\"{piece}\" is not of the form that the help names"))
        };
        pieces.map(pair).collect::<Result<_, _>>().map(Self)
    }
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
    struct Typed {
        #[command(flatten)]
        args: ControllerArgs,
    }

    fn typed(flags: &[&str]) -> ControllerArgs {
        let all = std::iter::once(&"controller").chain(flags);
        Typed::try_parse_from(all)
            .unwrap_or_else(|e| panic!("{e}"))
            .args
    }

    /// `docs/deploy/configurations.md` of AWS Load Balancer Controller.
    #[test]
    fn flags_go_before_the_environment_and_leave_alone_what_they_do_not_name() {
        let (mut context, _) =
            Context::parse("clusterName: a\ndefaults: {targetType: ip}\n", "env.yaml");
        let flags = [
            "--cluster-name=b",
            "--feature-gates",
            "EnableIPTargetType=false,ALBSingleSubnet=true",
            "--default-tags=x=y=z,v=",
        ];
        typed(&flags).flags.apply(&mut context);
        assert_eq!(context.cluster_name, "b");
        assert_eq!(context.defaults.target_type, "ip");
        assert!(!context.enable_ip_target_type);
        assert!(context.gate("ALBSingleSubnet", false));
        assert_eq!(context.defaults.tags["x"], "y=z");
        assert_eq!(context.defaults.tags["v"], "");
    }

    #[test]
    fn leader_election_is_turned_off_as_the_controller_of_aws_does_it() {
        assert!(typed(&[]).leader_elect);
        assert!(typed(&["--leader-elect"]).leader_elect);
        assert!(!typed(&["--leader-elect=false"]).leader_elect);
    }

    #[test]
    fn the_cluster_may_be_named_after_the_subcommand() {
        let args = typed(&["check", "--kubeconfig", "k", "--watch-namespace=a"]);
        assert!(matches!(args.command, Some(ControllerCommand::Check)));
        assert_eq!(args.cluster.kubeconfig, Some(PathBuf::from("k")));
        assert_eq!(args.cluster.watch_namespace.as_deref(), Some("a"));
    }
}
