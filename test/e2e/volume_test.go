// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// offerVolume makes a volume for the archive's claim, unless the cluster makes volumes by itself. It is a directory of a pod's,
// that goes with the pod, and is root's alone, as a new disk is.
func (s *site) offerVolume(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		claim := "config/components/archive-sqlite/volume.yaml"
		if err := command("kubectl", "delete", "--ignore-not-found", "--wait=false", "-f", claim); err != nil {
			t.Error(err)
		}
	})
	var classes storagev1.StorageClassList
	if err := k8s.Client.List(t.Context(), &classes); err != nil {
		t.Fatal(err)
	}
	for _, class := range classes.Items {
		if class.Annotations["storageclass.kubernetes.io/is-default-class"] == "true" {
			return
		}
	}
	mounts := []corev1.VolumeMount{{Name: "disk", MountPath: "/disk"}}
	disk := &corev1.Pod{
		ObjectMeta: s.named("disk"),
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{
				Name: "format", Image: imageOfProgram, ImagePullPolicy: corev1.PullIfNotPresent, VolumeMounts: mounts,
				Command: []string{"/bin/sh", "-c", "chmod 755 /disk"},
			}},
			Containers: []corev1.Container{{
				Name: "keep", Image: imageOfProgram, ImagePullPolicy: corev1.PullIfNotPresent, VolumeMounts: mounts,
				Command: []string{"/bin/sleep", "100000"},
			}},
			Volumes:                       []corev1.Volume{{Name: "disk"}},
			TerminationGracePeriodSeconds: ptr.To(int64(0)),
		},
	}
	k8s.Create(t, disk)
	k8s.Until(t, disk, func() error { return ready(disk) })
	k8s.Create(t, volumeOf(t, disk))
}

func volumeOf(t *testing.T, disk *corev1.Pod) *corev1.PersistentVolume {
	t.Helper()
	node := &corev1.Node{}
	if err := k8s.Client.Get(t.Context(), client.ObjectKey{Name: disk.Spec.NodeName}, node); err != nil {
		t.Fatal(err)
	}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: disk.Namespace},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("5Gi")},
			ClaimRef:    &corev1.ObjectReference{Namespace: home, Name: "tocsin-archive"},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{
				Path: fmt.Sprintf("/var/lib/kubelet/pods/%s/volumes/kubernetes.io~empty-dir/disk", disk.UID),
			}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node.Labels[corev1.LabelHostname]},
				}}}},
			}},
		},
	}
	t.Cleanup(func() {
		if err := k8s.Client.Delete(context.Background(), volume); err != nil { // t's context has ended
			t.Error(err)
		}
	})
	return volume
}
