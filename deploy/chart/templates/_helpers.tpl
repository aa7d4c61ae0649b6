{{/* Labels and names. There is one installation in a cluster, as there is one agent on a node: names are fixed. */}}

{{- define "tombolo.selector" -}}
app.kubernetes.io/name: tombolo
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "tombolo.labels" -}}
{{ include "tombolo.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tombolo
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels of pods: those that may change with a version are left out, or each upgrade would restart what it need not. */}}
{{- define "tombolo.podLabels" -}}
{{ include "tombolo.selector" . }}
app.kubernetes.io/part-of: tombolo
{{- range $name, $value := merge (dict) .own .root.Values.commonLabels }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "tombolo.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ $tag }}{{ end }}
{{- end }}

{{/* What is the same in each container. */}}
{{- define "tombolo.container" -}}
image: {{ include "tombolo.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "tombolo.clusterArgs" -}}
- --cluster-name={{ .Values.cluster.name }}
- --cluster-id={{ int .Values.cluster.id }}
- --max-connected-clusters={{ int .Values.cluster.maxConnected }}
- --log-level={{ .Values.logLevel }}
{{- end }}

{{/* The API server's address in place of what the kubelet says. */}}
{{- define "tombolo.apiEnv" -}}
{{- if .Values.kubernetesApi.host }}
- name: KUBERNETES_SERVICE_HOST
  value: {{ .Values.kubernetesApi.host | quote }}
- name: KUBERNETES_SERVICE_PORT
  value: {{ int .Values.kubernetesApi.port | quote }}
{{- end }}
{{- end }}

{{/* As little as a container can have. */}}
{{- define "tombolo.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* What the schema cannot say, or not in words. */}}
{{- define "tombolo.check" -}}
{{- with .Values }}
{{- if gt (int .cluster.id) (int .cluster.maxConnected) }}
{{- fail (printf "cluster.id must be at most cluster.maxConnected (%d): current value is %d" (int .cluster.maxConnected) (int .cluster.id)) }}
{{- end }}
{{- if and (eq .nodeAgent.services "all") (not .kubernetesApi.host) }}
{{- fail "kubernetesApi.host is needed with nodeAgent.services=all: the agent cannot reach the API server through the Service that it has yet to serve" }}
{{- end }}
{{- if eq .cluster.name "default" }}
{{- fail "cluster.name must not be \"default\": so is a cluster called that is in no mesh" }}
{{- end }}
{{- $ttl := 0 }}
{{- range regexFindAll "[0-9]+[smh]" .clustermeshApiserver.leaseTtl -1 }}
{{- $ttl = add $ttl (mul (trimSuffix "s" . | trimSuffix "m" | trimSuffix "h" | int) (get (dict "s" 1 "m" 60 "h" 3600) (substr (sub (len .) 1 | int) -1 .) | int)) }}
{{- end }}
{{- if or (lt (int $ttl) 25) (gt (int $ttl) 86400) }}
{{- fail (printf "clustermeshApiserver.leaseTtl must be 25s to 24h, for example 15m: current value is %q" .clustermeshApiserver.leaseTtl) }}
{{- end }}
{{- if eq .image.tag "latest" }}
{{- fail "image.tag must be a version: current value is \"latest\", which names another program each time" }}
{{- end }}
{{- range .nodeAgent.capabilities }}
{{- if hasPrefix "CAP_" . }}
{{- fail (printf "nodeAgent.capabilities must be named without CAP_: current value is %q" .) }}
{{- else if eq . "ALL" }}
{{- fail "nodeAgent.capabilities must be single ones: current value is \"ALL\"; for everything set nodeAgent.privileged" }}
{{- end }}
{{- end }}
{{- $names := list .cluster.name }}
{{- range .clustermesh.clusters }}
{{- if has .name $names }}
{{- fail (printf "clustermesh.clusters must name each other cluster once, and not this one: %q is there already" .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- if and .clustermesh.existingSecret .clustermesh.clusters }}
{{- fail "clustermesh.existingSecret and clustermesh.clusters cannot both be given: the clusters would be written into the Secret that the chart does not make" }}
{{- end }}
{{- $tls := .clustermeshApiserver.tls }}
{{- if and .clustermeshApiserver.enabled (eq $tls.method "secrets") }}
{{- range $name, $secret := $tls.secrets }}
{{- if not $secret }}
{{- fail (printf "clustermeshApiserver.tls.secrets.%s must name a Secret with tls.method=secrets: current value is empty" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
