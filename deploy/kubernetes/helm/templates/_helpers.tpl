{{- define "weighbridge.name" -}}
{{- $named := ternary .Release.Name (printf "%s-weighbridge" .Release.Name) (contains "weighbridge" .Release.Name) -}}
{{- $named | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- /* The rules that are shipped know the job by app.kubernetes.io/name. */ -}}
{{- define "weighbridge.selector" -}}
app.kubernetes.io/name: weighbridge
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "weighbridge.labels" -}}
{{ include "weighbridge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
