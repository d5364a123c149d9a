//! The readiness gates of new pods.

use std::collections::BTreeMap;

use elbow_manifest::cluster::{AUTO_MODE, LBC, Marks, Outcome, Reconciled};
use elbow_manifest::inventory::Inventory;
use elbow_manifest::objects::Meta;
use elbow_manifest::stack::Stack;

/// The target type of groups with pods as targets.
const PODS: &str = "ip";

type Labels = BTreeMap<String, String>;

/// Target groups of type `ip`, by namespace, with the selectors of their Services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    /// By stack, so that a change of one leaves the others alone.
    stacks: BTreeMap<String, Vec<Gate>>,
    /// Gates of TargetGroupBindings written by users.
    written: Vec<Gate>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Gate {
    namespace: String,
    /// The condition type. It ends with the name of the TargetGroupBinding, which is that of the target group if the
    /// controller created it.
    condition: String,
    /// The selector of the Service.
    selector: Labels,
}

impl Gates {
    /// Updates the gates from reconciled stacks. A refused stack serves as before, so its gates stay.
    pub fn take(&mut self, reconciled: &[Reconciled], inventory: &Inventory) {
        for one in reconciled {
            match &one.outcome {
                Outcome::Made(made) => {
                    self.stacks
                        .insert(one.key.clone(), of_stack(one, &made.stack, inventory));
                }
                Outcome::Refused(_) => {}
                Outcome::Gone => {
                    self.stacks.remove(&one.key);
                }
            }
        }
        let written = inventory
            .bindings
            .values()
            .filter(|binding| !binding.is_made());
        let pods = written.filter(|binding| binding.target_type.as_deref() == Some(PODS));
        let gate = |binding: &elbow_manifest::objects::Binding| {
            let marks = if binding.is_auto { &AUTO_MODE } else { &LBC };
            let Meta {
                namespace, name, ..
            } = &binding.meta;
            gate(marks, namespace, name, &binding.service, inventory)
        };
        self.written = pods.filter_map(gate).collect();
    }

    /// The condition types that a pod of `namespace` with these labels must wait for, sorted and unique.
    pub fn of(&self, namespace: &str, labels: &Labels) -> Vec<String> {
        let gates = self.stacks.values().flatten().chain(&self.written);
        let chosen = |gate: &&Gate| {
            let has = |(key, value): (&String, &String)| labels.get(key) == Some(value);
            gate.namespace == namespace && gate.selector.iter().all(has)
        };
        let gates = gates.filter(chosen);
        let mut kinds: Vec<String> = gates.map(|gate| gate.condition.clone()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

fn of_stack(reconciled: &Reconciled, stack: &Stack, inventory: &Inventory) -> Vec<Gate> {
    let marks = Marks::of(&reconciled.finalizer).unwrap_or(&LBC);
    let bindings = stack.bindings.values();
    let pods = bindings.filter(|binding| binding.spec.target_type == PODS);
    pods.filter_map(|binding| {
        let service = &binding.spec.service_ref.name;
        gate(marks, &binding.namespace, &binding.name, service, inventory)
    })
    .collect()
}

/// `None` if the Service has no selector.
fn gate(
    marks: &Marks,
    namespace: &str,
    binding: &str,
    service: &str,
    inventory: &Inventory,
) -> Option<Gate> {
    let service = inventory
        .services
        .get(&(namespace.to_owned(), service.to_owned()))?;
    (!service.selector.is_empty()).then(|| Gate {
        namespace: namespace.to_owned(),
        condition: format!("{}{binding}", marks.gate),
        selector: service.selector.clone(),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use elbow_manifest::cluster::{Change, Cluster, Identity};
    use elbow_manifest::context::Personality;
    use elbow_manifest::{Context, Object};
    use serde_json::{Value, json};

    use super::*;

    fn set(cluster: &mut Cluster, object: Value) {
        cluster.take(Change::Set(Object::from_json(object).unwrap()));
    }

    fn service(name: &str, target_type: &str, app: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "shop", "name": name, "uid": name, "annotations": {
                "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": target_type}},
            "spec": {"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb", "selector": {"app": app},
                "ports": [{"port": 80, "nodePort": 30080}]}})
    }

    fn binding(name: &str, target_type: &str) -> Value {
        json!({"apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "TargetGroupBinding",
            "metadata": {"namespace": "shop", "name": name, "uid": name},
            "spec": {"targetGroupName": "of-a-file", "targetType": target_type, "serviceRef": {"name": "nodes", "port": 80}}})
    }

    fn labels(app: &str) -> Labels {
        BTreeMap::from([
            ("app".to_owned(), app.to_owned()),
            ("more".to_owned(), "x".to_owned()),
        ])
    }

    pub(in super::super) fn gates() -> (Cluster, Gates) {
        let mut cluster = Cluster::new(Context::default());
        set(&mut cluster, service("pods", "ip", "web"));
        set(&mut cluster, service("nodes", "instance", "api"));
        set(&mut cluster, binding("of-pods", "ip"));
        set(&mut cluster, binding("of-nodes", "instance"));
        let mut gates = Gates::default();
        let reconciled = cluster.reconcile();
        gates.take(&reconciled, cluster.inventory());
        (cluster, gates)
    }

    // control-plane.md 3.8.
    #[test]
    fn pod_gets_gates_of_ip_groups_whose_service_selects_it() {
        let (_, gates) = gates();
        let [kind] = &gates.of("shop", &labels("web"))[..] else {
            panic!("{gates:?}")
        };
        assert!(
            kind.starts_with("target-health.elbv2.k8s.aws/k8s-shop-pods-"),
            "{kind}"
        );
        assert_eq!(gates.of("other", &labels("web")), [""; 0]);
        assert_eq!(gates.of("shop", &labels("none")), [""; 0]);
    }

    #[test]
    fn users_binding_is_gated_by_its_own_name() {
        let (_, gates) = gates();
        assert_eq!(
            gates.of("shop", &labels("api")),
            ["target-health.elbv2.k8s.aws/of-pods"]
        );
    }

    /// The gates of EKS Auto Mode start with its own group.
    #[test]
    fn gates_of_auto_mode_have_its_names() {
        let mut cluster = Cluster::new(Context {
            personality: Personality::EksAuto,
            ..Context::default()
        });
        let mut auto = service("pods", "ip", "web");
        auto["spec"]["loadBalancerClass"] = json!("eks.amazonaws.com/nlb");
        set(&mut cluster, auto);
        set(&mut cluster, service("nodes", "instance", "web"));
        let mut mine = binding("mine", "ip");
        mine["apiVersion"] = json!("eks.amazonaws.com/v1");
        set(&mut cluster, mine);
        let mut gates = Gates::default();
        let reconciled = cluster.reconcile();
        gates.take(&reconciled, cluster.inventory());
        let [of_service, of_binding] = &gates.of("shop", &labels("web"))[..] else {
            panic!("{gates:?}")
        };
        assert!(
            of_service.starts_with("target-health.eks.amazonaws.com/k8s-shop-pods-"),
            "{of_service}"
        );
        assert_eq!(of_binding, "target-health.eks.amazonaws.com/mine");
    }

    #[test]
    fn deleted_group_has_no_gate() {
        let (mut cluster, mut gates) = gates();
        cluster.take(Change::Gone(Identity {
            group: String::new(),
            kind: "Service".to_owned(),
            namespace: "shop".to_owned(),
            name: "pods".to_owned(),
        }));
        let reconciled = cluster.reconcile();
        gates.take(&reconciled, cluster.inventory());
        assert_eq!(gates.of("shop", &labels("web")), [""; 0]);
        assert_eq!(gates.of("shop", &labels("api")).len(), 1);
    }

    #[test]
    fn service_without_a_selector_selects_no_pod() {
        let mut cluster = Cluster::new(Context::default());
        let mut all = service("pods", "ip", "web");
        all["spec"].as_object_mut().unwrap().remove("selector");
        set(&mut cluster, all);
        let mut gates = Gates::default();
        let reconciled = cluster.reconcile();
        gates.take(&reconciled, cluster.inventory());
        assert_eq!(
            gates,
            Gates {
                stacks: gates.stacks.clone(),
                written: Vec::new()
            }
        );
        assert_eq!(gates.of("shop", &labels("web")), [""; 0]);
    }
}
