// SPDX-License-Identifier: Apache-2.0

package execjob

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"maps"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/placeholder"
)

// What marks the Jobs that Tocsin makes.
const (
	// LabelNotification, on Jobs and their pods, is the UID of the Notification.
	LabelNotification = reserved + "notification-uid"
	// AnnotationNotification and AnnotationChannel, on Jobs, are the names of the Notification and the channel.
	AnnotationNotification = reserved + "notification"
	AnnotationChannel      = reserved + "channel"
	// AnnotationFile, on pods, is what FileName holds.
	AnnotationFile = reserved + "notification.json"
	// Finalizer keeps a Job until its result is stored.
	Finalizer = reserved + "result"
)

// Where a program finds the notification.
const (
	MountPath = "/tocsin"
	FileName  = "notification.json"
	// FileVariable is the environment variable that holds the file's path.
	FileVariable = "TOCSIN_NOTIFICATION_FILE"

	volumeName = "tocsin-notification"
)

// What applies where a channel does not say.
const (
	DefaultTimeout      = 10 * time.Minute
	DefaultKeepFinished = time.Hour

	longestTimeout = 24 * time.Hour // as the schema has it
)

// Exit codes by which a program says that it is of no use to run it again (sysexits.h).
const (
	exitUsage  = 64 // EX_USAGE
	exitConfig = 78 // EX_CONFIG
)

// maxName is how long a Job's name may be: it becomes a label of its pods.
const maxName = 63

// Name is computed from the notification and the channel, so that there is one Job for the two.
func Name(notification types.UID, channel string) string {
	hash := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s", notification, channel))
	suffix := "-" + strings.ToLower(base32.StdEncoding.EncodeToString(hash[:])[:10])
	name := strings.ReplaceAll(channel, ".", "-") // pods take it as their host name
	return strings.TrimRight(name[:min(len(name), maxName-len(suffix))], "-") + suffix
}

// New makes the Job that takes a notification through a channel. The Notification owns it: who deletes the entry of the log
// deletes the Job.
func New(n *v1alpha1.Notification, channel *v1alpha1.NotificationChannel, values placeholder.Values) (*batchv1.Job, error) {
	exec := channel.Spec.Exec
	template, err := Template(exec)
	if err != nil {
		return nil, fmt.Errorf("`spec.exec.template`: %w", err)
	}
	content, err := file(n, channel.Name)
	if err != nil {
		return nil, err
	}
	complete(template, n.UID, content, values)
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   n.Namespace,
			Name:        Name(n.UID, channel.Name),
			Labels:      map[string]string{LabelNotification: string(n.UID)},
			Annotations: map[string]string{AnnotationNotification: n.Name, AnnotationChannel: channel.Name},
			Finalizers:  []string{Finalizer},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "Notification", Name: n.Name, UID: n.UID,
				Controller: ptr.To(true),
			}},
		},
		Spec: batchv1.JobSpec{
			ActiveDeadlineSeconds:   ptr.To(max(1, seconds(exec.Timeout, DefaultTimeout))),
			BackoffLimit:            ptr.To(ptr.Deref(exec.Retries, 0)),
			TTLSecondsAfterFinished: ptr.To(int32(seconds(exec.KeepFinished, DefaultKeepFinished))), //nolint:gosec // 168h at most
			PodReplacementPolicy:    ptr.To(batchv1.Failed),
			PodFailurePolicy:        failurePolicy(),
			Template:                *template,
		},
	}, nil
}

// Made says whether a Job is the one of the notification and the channel, and not somebody else's of the same name.
func Made(job *batchv1.Job, n *v1alpha1.Notification, channel string) bool {
	return metav1.IsControlledBy(job, n) && job.Labels[LabelNotification] == string(n.UID) &&
		job.Annotations[AnnotationChannel] == channel
}

func seconds(d v1alpha1.Duration, fallback time.Duration) int64 {
	length, err := d.Duration()
	if d == "" || err != nil {
		length = fallback
	}
	return int64(length / time.Second)
}

// failurePolicy: a program may say that it is of no use to run it again, and a pod that the cluster took away does not count.
func failurePolicy() *batchv1.PodFailurePolicy {
	return &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
		{
			Action: batchv1.PodFailurePolicyActionFailJob,
			OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
				Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{exitUsage, exitConfig},
			},
		},
		{
			Action: batchv1.PodFailurePolicyActionIgnore,
			OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
				{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
			},
		},
	}}
}

// complete gives a channel's template what every Job of Tocsin has.
func complete(t *corev1.PodTemplateSpec, notification types.UID, content string, values placeholder.Values) {
	t.Labels, t.Annotations = maps.Clone(t.Labels), maps.Clone(t.Annotations)
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	if t.Annotations == nil {
		t.Annotations = map[string]string{}
	}
	t.Labels[LabelNotification] = string(notification)
	t.Annotations[AnnotationFile] = content
	t.Spec.RestartPolicy = corev1.RestartPolicyNever
	if t.Spec.AutomountServiceAccountToken == nil {
		t.Spec.AutomountServiceAccountToken = ptr.To(false)
	}
	t.Spec.Volumes = append(t.Spec.Volumes, corev1.Volume{
		Name: volumeName,
		VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
			Items: []corev1.DownwardAPIVolumeFile{{
				Path: FileName,
				FieldRef: &corev1.ObjectFieldSelector{
					APIVersion: "v1", FieldPath: fmt.Sprintf("metadata.annotations['%s']", AnnotationFile),
				},
			}},
		}},
	})
	variables := environment(values)
	for _, c := range containers(&t.Spec) {
		c.Env = merge(variables, c.Env)
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: volumeName, MountPath: MountPath, ReadOnly: true})
	}
}
