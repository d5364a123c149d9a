{{- define "elbow.labels" -}}
app.kubernetes.io/name: elbow
app.kubernetes.io/part-of: elbow
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "elbow.subject" -}}
- kind: ServiceAccount
  name: {{ .Values.serviceAccount.name }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* a=b,c=d */}}
{{- define "elbow.pairs" -}}
{{- $pairs := list -}}
{{- range $key, $value := . }}{{ $pairs = append $pairs (printf "%s=%v" $key $value) }}{{ end -}}
{{- join "," $pairs -}}
{{- end }}

{{- define "elbow.args" -}}
- controller
- --address-pool={{ .Values.addressPool }}
- --status-address={{ .Values.statusAddress }}
- --admin=127.0.0.1:{{ .Values.adminPort }}
- --probes=$(HOST_IP):{{ .Values.probePort }}
- --admin-token-secret=elbow-admin
- --drain-timeout={{ .Values.drainTimeout }}
{{- with .Values.clusterName }}
- --cluster-name={{ . }}
{{- end }}
{{- with .Values.watchNamespace }}
- --watch-namespace={{ . }}
{{- end }}
{{- with .Values.personality }}
- --personality={{ . }}
{{- end }}
{{- with .Values.defaultTargetType }}
- --default-target-type={{ . }}
{{- end }}
{{- with .Values.defaultSslPolicy }}
- --default-ssl-policy={{ . }}
{{- end }}
{{- with .Values.defaultLoadBalancerScheme }}
- --default-load-balancer-scheme={{ . }}
{{- end }}
{{- with .Values.controllerName }}
- --controller-name={{ . }}
{{- end }}
{{- with .Values.loadBalancerClass }}
- --load-balancer-class={{ . }}
{{- end }}
{{- with .Values.defaultTags }}
- {{ printf "--default-tags=%s" (include "elbow.pairs" .) | quote }}
{{- end }}
{{- with .Values.featureGates }}
- --feature-gates={{ include "elbow.pairs" . }}
{{- end }}
{{- if .Values.environment }}
- --environment=/etc/elbow/environment.yaml
{{- end }}
{{- if ne .Values.accessLog "off" }}
- --access-log={{ .Values.accessLog }}
{{- end }}
{{- if .Values.dryRunPlan }}
- --dry-run-plan
{{- end }}
{{- if .Values.webhook.enabled }}
- --webhook=$(HOST_IP):{{ .Values.webhook.port }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}
