#!/bin/sh
# Makes a Redis Cluster of NODES (host:port each, half of them replicas), or mends
# it: tells each where the others are now, and takes in those that have lost their
# disk. It may run at any time and again.
set -eu

ask() { # node, command...
	host=${1%:*} port=${1##*:}
	shift
	redis-cli -h "$host" -p "$port" "$@"
}

address() { # node: as ip:port, which is all that CLUSTER MEET takes
	echo "$(getent ahosts "${1%:*}" | awk '{ print $1; exit }'):${1##*:}"
}

info() { # node, field of CLUSTER INFO
	ask "$1" cluster info | tr -d '\r' | awk -F: -v field="$2" '$1 == field { print $2 }'
}

up='' new='' member=''
for node in $NODES; do
	if [ "$(ask "$node" ping 2>/dev/null)" != PONG ]; then
		echo "$node does not answer"
		continue
	fi
	node=$(address "$node")
	up="$up $node"
	if [ "$(info "$node" cluster_known_nodes)" = 1 ] && [ "$(info "$node" cluster_slots_assigned)" = 0 ]; then
		new="$new $node"
	else
		member=$node
	fi
done

if [ -z "$member" ]; then
	if [ "$(echo $up | wc -w)" != "$(echo $NODES | wc -w)" ]; then
		echo "A new cluster takes all of its nodes"
		exit 1
	fi
	# $up is a list.
	redis-cli --cluster create $up --cluster-replicas 1 --cluster-yes
	exit
fi

# Each pod comes back with another address. One that the others know needs no
# word, since it tells them itself; after all have come back at once nobody does.
for node in $up; do
	case " $new " in *" $node "*) continue ;; esac
	for other in $up; do
		case " $new $node " in *" $other "*) ;; *) ask "$node" cluster meet "${other%:*}" "${other##*:}" >/dev/null ;; esac
	done
done
# Its disk is new, and so its name: a replica of the master that has the fewest.
for node in $new; do
	redis-cli --cluster add-node "$node" "$member" --cluster-slave
done
