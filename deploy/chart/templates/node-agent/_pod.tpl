{{/*
What a container needs that works on the node's kernel: the agent, and the one that takes away what it left. Takes Values,
and `more`, further capabilities.
*/}}

{{- define "tombolo.nodeSecurity" -}}
{{- with .Values.nodeAgent -}}
runAsUser: 0
runAsGroup: 0
readOnlyRootFilesystem: true
{{- if .privileged }}
privileged: true
{{- else }}
{{- $capabilities := concat .capabilities ($.more | default list) | uniq }}
allowPrivilegeEscalation: {{ has "SYS_ADMIN" $capabilities }}
capabilities:
  drop: [ALL]
  add: {{ toJson $capabilities }}
seccompProfile:
  {{- toYaml .seccompProfile | nindent 2 }}
{{- end }}
{{- with .seLinuxOptions }}
seLinuxOptions:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/*
bpffs is not mounted at /sys/fs/bpf: common AppArmor profiles of containers forbid to write below /sys. A privileged
container has no such profile, and there the agent may have to mount bpffs itself, at its own place, for the host to see.
*/}}
{{- define "tombolo.bpffs" -}}
{{ ternary "/sys/fs/bpf" "/host/bpf" .Values.nodeAgent.privileged }}
{{- end }}

{{- define "tombolo.nodeMounts" -}}
- name: bpf
  mountPath: {{ include "tombolo.bpffs" . }}
  {{- if .Values.nodeAgent.privileged }}
  mountPropagation: Bidirectional
  {{- end }}
- name: cgroup
  mountPath: /host/cgroup
  readOnly: true
{{- end }}

{{- define "tombolo.nodeVolumes" -}}
- name: bpf
  hostPath:
    path: {{ .Values.nodeAgent.bpffsPath }}
    type: Directory
- name: cgroup
  hostPath:
    path: {{ .Values.nodeAgent.cgroupPath }}
    type: Directory
{{- end }}

{{/* Where agents run. */}}
{{- define "tombolo.nodePlacement" -}}
{{- with .Values.nodeAgent -}}
hostNetwork: true
dnsPolicy: {{ .dnsPolicy }}
priorityClassName: {{ .priorityClassName }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "tombolo.agentProbe" -}}
httpGet:
  {{- if not .root.Values.metrics.enabled }}
  host: 127.0.0.1
  {{- end }}
  path: {{ .path }}
  port: health
{{- end }}

{{- define "tombolo.uninstallHook" -}}
helm.sh/hook: post-delete
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
