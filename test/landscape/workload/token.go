// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// token is a token of a ServiceAccount in a file.
type token struct {
	value   string
	refresh time.Time
	owner   string // UID of the pod that it is bound to
}

// token returns the token for file: the one that is there, as long as it is young enough.
func (h *Host) token(ctx context.Context, pod Pod, projection *corev1.ServiceAccountTokenProjection, file string) (token, error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if current, ok := h.tokens[file]; ok && current.owner == pod.UID && time.Now().Before(current.refresh) {
		return current, nil
	}
	issued := time.Now()
	request := tokenRequest(pod, projection)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: serviceAccountName(pod.Spec)}}
	if err := h.Client.SubResource("token").Create(ctx, account, request); err != nil {
		return token{}, fmt.Errorf("requesting a token of ServiceAccount %s/%s: %w", account.Namespace, account.Name, err)
	}
	fresh := token{value: request.Status.Token, refresh: refreshTime(issued, request.Status.ExpirationTimestamp.Time), owner: pod.UID}
	if h.tokens == nil {
		h.tokens = map[string]token{}
	}
	h.tokens[file] = fresh
	return fresh, nil
}

func tokenRequest(pod Pod, projection *corev1.ServiceAccountTokenProjection) *authenticationv1.TokenRequest {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: projection.ExpirationSeconds}}
	if projection.Audience != "" {
		request.Spec.Audiences = []string{projection.Audience}
	}
	if pod.UID != "" {
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{
			APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: types.UID(pod.UID),
		}
	}
	return request
}

func serviceAccountName(spec corev1.PodSpec) string {
	if spec.ServiceAccountName == "" {
		return "default"
	}
	return spec.ServiceAccountName
}
